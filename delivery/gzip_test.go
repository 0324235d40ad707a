package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// BenchmarkGzipLevels compresses a batch of server spans at the level of this
// package, 2, and at that of the exporters, 6.
func BenchmarkGzipLevels(b *testing.B) {
	const n = 2048
	body := serverSpans(b, n)
	for _, level := range []int{1, 2, 6} {
		b.Run(strconv.Itoa(level), func(b *testing.B) {
			w, err := gzip.NewWriterLevel(io.Discard, level)
			if err != nil {
				b.Fatal(err)
			}
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				w.Reset(&out)
				_, _ = w.Write(body)
				_ = w.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/span")
			b.ReportMetric(float64(out.Len())/n, "B/span")
			b.ReportMetric(float64(len(body))/n, "B/span-raw")
		})
	}
}

// serverSpans returns a request with the attributes that otelhttp gives a span.
func serverSpans(b *testing.B, n int) (body []byte) {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer s.Close()
	ctx := context.Background()
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.URL))
	if err != nil {
		b.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(n), sdktrace.WithMaxQueueSize(n), sdktrace.WithBlocking()))
	for i := range n {
		_, span := tp.Tracer("bench").Start(ctx, "GET /", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("server.address", "localhost"), attribute.String("http.request.method", "GET"), attribute.String("url.scheme", "http"),
			attribute.String("network.peer.address", "127.0.0.1"), attribute.Int("network.peer.port", 40000+i%32), attribute.String("client.address", "127.0.0.1"),
			attribute.String("url.path", "/"), attribute.String("network.protocol.version", "1.1"), attribute.Int("http.response.status_code", 200)))
		span.End()
	}
	if err := tp.Shutdown(ctx); err != nil {
		b.Fatal(err)
	}
	return body
}
