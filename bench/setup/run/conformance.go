//go:build conformance

package run

import (
	"context"
	"os"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/workload"
)

// secondsEnv is for how long to record a thousand spans per second, instead of
// running package workload.
const secondsEnv = "SETUP_SECONDS"

func init() {
	program = func(ctx context.Context) error {
		if seconds, err := strconv.Atoi(os.Getenv(secondsEnv)); err == nil {
			record(ctx, seconds)
			return nil
		}
		return workload.Run(ctx, os.Getenv(workload.TargetEnv))
	}
}

func record(ctx context.Context, seconds int) {
	tracer := otel.Tracer("setup")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range seconds * 100 {
		for range 10 {
			_, span := tracer.Start(ctx, "work")
			span.End()
		}
		<-tick.C
	}
}
