package sampler_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// traceID returns a trace id whose low 56 bits are r.
func traceID(r uint64) (id trace.TraceID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], r)
	return id
}

// A parent describes the parent of a span; the zero parent is none.
type parent struct {
	flags      trace.TraceFlags
	remote     bool
	tracestate string
	randomness uint64
}

func (p parent) context(tb testing.TB) context.Context {
	tb.Helper()
	state, err := trace.ParseTraceState(p.tracestate)
	if err != nil {
		tb.Fatal(err)
	}
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID(p.randomness), SpanID: trace.SpanID{1}, TraceFlags: p.flags, Remote: p.remote, TraceState: state,
	}))
}

// root returns the parameters of a root span with a random trace id.
func root(rnd *rand.Rand, name string) sdktrace.SamplingParameters {
	return sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: traceID(rnd.Uint64()), Name: name}
}

// handledErrors collects what reaches the OpenTelemetry error handler until
// the test ends.
func handledErrors(t *testing.T) *[]error {
	t.Helper()
	var errs []error
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { errs = append(errs, err) }))
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	return &errs
}
