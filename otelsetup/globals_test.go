package otelsetup_test

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	nooplog "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

// Kinds of the program's own, of which a pointer says which one it is.
type (
	ownTracers    struct{ trace.TracerProvider }
	ownMeters     struct{ metric.MeterProvider }
	ownLoggers    struct{ log.LoggerProvider }
	ownPropagator struct{ propagation.TextMapPropagator }
	ownHandler    struct{ otel.ErrorHandler }
)

// TestGlobalsAtTheEnd: Shutdown puts back what was there before Start, unless the program
// has set another one since.
func TestGlobalsAtTheEnd(t *testing.T) {
	_, _, flush := start(t) // what others hold of package otel belongs to the first that are set
	flush()
	tracers, meters, loggers, propagator, handler := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider(), otel.GetTextMapPropagator(), otel.GetErrorHandler()
	t.Cleanup(func() {
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
		otel.SetLoggerProvider(loggers)
		otel.SetTextMapPropagator(propagator)
		otel.SetErrorHandler(handler)
	})
	globals := []func() any{
		func() any { return otel.GetTracerProvider() }, func() any { return otel.GetMeterProvider() },
		func() any { return otel.GetLoggerProvider() }, func() any { return otel.GetTextMapPropagator() },
		func() any { return otel.GetErrorHandler() },
	}
	set := func() (own []any) {
		handler := &ownHandler{otel.ErrorHandlerFunc(func(err error) { t.Error(err) })}
		tracers, meters, loggers := &ownTracers{nooptrace.NewTracerProvider()}, &ownMeters{noopmetric.NewMeterProvider()}, &ownLoggers{nooplog.NewLoggerProvider()}
		propagator := &ownPropagator{propagation.NewCompositeTextMapPropagator()}
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
		otel.SetLoggerProvider(loggers)
		otel.SetTextMapPropagator(propagator)
		otel.SetErrorHandler(handler)
		return []any{tracers, meters, loggers, propagator, handler}
	}
	for rule, sets := range map[string]bool{"what was there comes back": false, "what the program has set stays": true} {
		t.Run(rule, func(t *testing.T) {
			want := set()
			_, _, flush := start(t)
			if sets {
				want = set()
			}
			flush()
			for i, get := range globals {
				if got := get(); got != want[i] {
					t.Errorf("%T %p, want %p", got, got, want[i])
				}
			}
		})
	}
}
