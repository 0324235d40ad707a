//go:build !race

package tail_test

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler/tail"
)

// TestDroppedTraceAllocatesNothing compares with a processor that does nothing.
func TestDroppedTraceAllocatesNothing(t *testing.T) {
	s := start(t, dropAll, tail.Config{
		MaxDecisions: 64,
		Policies:     []tail.Policy{failedPolicy, {Root: tail.Condition{SlowerThanQuantile: 0.99}}, {Probability: 1e-12}},
	})
	idle := sdktrace.NewTracerProvider(sdktrace.WithSampler(dropAll), sdktrace.WithSpanProcessor(&blocking{release: closed()}))
	defer func() { _ = idle.Shutdown(context.Background()) }()
	allocs := func(tracer trace.Tracer) float64 {
		return testing.AllocsPerRun(2000, func() {
			ctx, root := tracer.Start(context.Background(), "root")
			for range 3 {
				_, child := tracer.Start(ctx, "child")
				child.End()
			}
			root.End()
		})
	}
	_ = allocs(s.Tracer) // fills the memory of decisions
	if got, want := allocs(s.Tracer), allocs(idle.Tracer("")); got != want {
		t.Errorf("a dropped trace takes %v allocations, %v of them its own", got, got-want)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
