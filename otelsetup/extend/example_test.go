package extend_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() {
	extend.Samplers.Register("everynth", func(_ context.Context, env extend.Env) (sdktrace.Sampler, error) {
		if _, err := strconv.Atoi(env.SamplerArg()); err != nil {
			return nil, errors.New("OTEL_TRACES_SAMPLER_ARG must be a number")
		}
		return sdktrace.AlwaysSample(), nil // a sampler of yours
	})
}

// A sampler that is registered in an init function can be chosen by its name. An error
// of its factory is a problem that names the variable, and the program runs.
func Example() {
	for name, value := range map[string]string{
		"OTEL_TRACES_SAMPLER": "everynth", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_LOG_LEVEL": "none",
	} {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	telemetry, err := otelsetup.Start(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer telemetry.Shutdown(context.Background()) //nolint:errcheck // an example
	for _, p := range telemetry.Report().Problems {
		fmt.Println(p)
	}
	// Output: OTEL_TRACES_SAMPLER="everynth": everynth: OTEL_TRACES_SAMPLER_ARG must be a number; using parentbased_always_on
}
