package delivery_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/delivery"
)

// swallow takes everything without a network.
type swallow struct{}

func (swallow) RoundTrip(r *http.Request) (*http.Response, error) {
	_, _ = io.Copy(io.Discard, r.Body)
	return answer(http.StatusOK)
}

// endedSpan is a span of a server with twelve attributes.
func endedSpan() sdktrace.ReadOnlySpan {
	start := time.Unix(1700000000, 0)
	return tracetest.SpanStub{
		Name: "GET /orders/{id}", SpanKind: trace.SpanKindServer, StartTime: start, EndTime: start.Add(time.Millisecond),
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}),
		Attributes: []attribute.KeyValue{
			attribute.String("server.address", "localhost"), attribute.String("http.request.method", "GET"), attribute.String("url.scheme", "http"),
			attribute.String("network.peer.address", "127.0.0.1"), attribute.Int("network.peer.port", 40000), attribute.String("client.address", "127.0.0.1"),
			attribute.String("url.path", "/orders/17"), attribute.String("network.protocol.version", "1.1"), attribute.Int("http.response.status_code", 200),
			attribute.String("http.route", "/orders/{id}"), attribute.String("user_agent.original", "curl/8.5"), attribute.Int("http.response.body.size", 100),
		},
		Resource:             resource.NewSchemaless(attribute.String("service.name", "orders")),
		InstrumentationScope: instrumentation.Scope{Name: "bench"},
	}.Snapshot()
}

// BenchmarkOnEnd compares the processors from the end of a span to the socket.
func BenchmarkOnEnd(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer s.Close()
	ctx := context.Background()
	span := endedSpan()
	run := func(b *testing.B, p sdktrace.SpanProcessor, end func(context.Context) error) {
		b.Helper()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				p.OnEnd(span)
			}
		})
		if err := p.Shutdown(ctx); err != nil {
			b.Fatal(err)
		}
		if err := end(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("delivery", func(b *testing.B) {
		tr, err := delivery.New(delivery.Config{})
		if err != nil {
			b.Fatal(err)
		}
		run(b, tr.SpanProcessor(delivery.Route{URL: s.URL}, delivery.Batch{}), tr.Shutdown)
	})
	b.Run("stock", func(b *testing.B) {
		exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.URL))
		if err != nil {
			b.Fatal(err)
		}
		run(b, sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithBlocking()), func(context.Context) error { return nil })
	})
}
