package conformance

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/internal/workload"
	"github.com/clewtrace/clew/otelsetup"
	_ "github.com/clewtrace/clew/otelsetup/clientcert"
	_ "github.com/clewtrace/clew/otelsetup/configfile"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
	_ "github.com/clewtrace/clew/otelsetup/prometheus"
	_ "github.com/clewtrace/clew/otelsetup/rulesfile"
)

func TestMain(m *testing.M) {
	if os.Getenv(reportEnv) != "" {
		report()
		os.Exit(0)
	}
	if target := os.Getenv(workload.TargetEnv); target != "" {
		otelsetup.Main(func(ctx context.Context) error { return workload.Run(ctx, target) })
	}
	flag.Set("test.parallel", "8") //nolint:errcheck // they mostly wait for processes
	goleak.VerifyTestMain(m)
}

// environment is what a process needs that is not about telemetry.
func environment() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL_") {
			kept = append(kept, v)
		}
	}
	return kept
}
