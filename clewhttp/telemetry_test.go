package clewhttp_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // panics are logged
	goleak.VerifyTestMain(m)
}

// telemetry is an SDK of a test's own.
type telemetry struct {
	spans   *tracetest.SpanRecorder
	reader  *sdkmetric.ManualReader
	tracers *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
	w3c     propagation.TextMapPropagator
}

func newTelemetry(t *testing.T, opts ...sdktrace.TracerProviderOption) *telemetry {
	t.Helper()
	s := &telemetry{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	s.tracers = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(s.spans))...)
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.w3c = trust.Propagator(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{}))
	t.Cleanup(func() {
		if err := s.tracers.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *telemetry) options() []clewhttp.HandlerTransportOption {
	return []clewhttp.HandlerTransportOption{
		clewhttp.WithTracerProvider(s.tracers), clewhttp.WithMeterProvider(s.meters), clewhttp.WithPropagator(s.w3c),
	}
}

func (s *telemetry) handler(h http.Handler, more ...clewhttp.HandlerOption) http.Handler {
	var opts []clewhttp.HandlerOption
	for _, o := range s.options() {
		opts = append(opts, o)
	}
	return clewhttp.Handler(h, append(opts, more...)...)
}

func (s *telemetry) transport(base http.RoundTripper, more ...clewhttp.TransportOption) http.RoundTripper {
	var opts []clewhttp.TransportOption
	for _, o := range s.options() {
		opts = append(opts, o)
	}
	return clewhttp.Transport(base, append(opts, more...)...)
}

func (s *telemetry) ofKind(kind trace.SpanKind) []sdktrace.ReadOnlySpan {
	var found []sdktrace.ReadOnlySpan
	for _, span := range s.spans.Ended() {
		if span.SpanKind() == kind {
			found = append(found, span)
		}
	}
	return found
}

// only returns the one span of a kind.
func (s *telemetry) only(t *testing.T, kind trace.SpanKind) sdktrace.ReadOnlySpan {
	t.Helper()
	found := s.ofKind(kind)
	if len(found) != 1 {
		t.Fatalf("%d spans of kind %v, want 1", len(found), kind)
	}
	return found[0]
}

// series returns the attribute sets of a metric, each written as text.
func (s *telemetry) series(t *testing.T, name string) []attribute.Set {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	var sets []attribute.Set
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch h := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range h.DataPoints {
					sets = append(sets, p.Attributes)
				}
			case metricdata.Histogram[int64]:
				for _, p := range h.DataPoints {
					sets = append(sets, p.Attributes)
				}
			}
		}
	}
	return sets
}

// text is the value of an attribute as text, "" if it is not there.
func text(span sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func setText(set attribute.Set, key attribute.Key) string {
	if v, ok := set.Value(key); ok {
		return v.String()
	}
	return ""
}
