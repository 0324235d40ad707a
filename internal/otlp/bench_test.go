package otlp_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/internal/otlp"
)

// batch is the number of spans or records in a request. All figures are per batch.
const batch = 512

// discard answers a request once its body is read.
type discard struct{}

func (discard) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

var discarding = &http.Client{Transport: discard{}}

func BenchmarkSpans(b *testing.B) {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithHTTPClient(discarding))
	if err != nil {
		b.Fatal(err)
	}
	span := ordinarySpan()
	spans := slices.Repeat([]sdktrace.ReadOnlySpan{span}, batch)
	benchmark(b, func(message []byte) []byte { return otlp.AppendSpan(message, span, 1<<20) },
		func() error { return exporter.ExportSpans(context.Background(), spans) })
}

func BenchmarkLogRecords(b *testing.B) {
	exporter, err := otlploghttp.New(context.Background(), otlploghttp.WithHTTPClient(discarding))
	if err != nil {
		b.Fatal(err)
	}
	record := ordinaryRecord()
	records := slices.Repeat([]sdklog.Record{*record}, batch)
	benchmark(b, func(message []byte) []byte { return otlp.AppendLogRecord(message, record, 1<<20) },
		func() error { return exporter.Export(context.Background(), records) })
}

// benchmark makes requests of messages, beside the export of as many by the stock exporter.
func benchmark(b *testing.B, encode func(message []byte) []byte, export func() error) {
	b.Helper()
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		var request, message []byte
		for b.Loop() {
			request = request[:0]
			for range batch {
				message = encode(message[:0])
				request = protowire.AppendTag(request, 2, protowire.BytesType)
				request = protowire.AppendBytes(request, message)
			}
		}
	})
	b.Run("stock", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := export(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkCut shows what a span that is too long costs, beside encoding it without a bound. The
// ratio stays the same for longer spans.
func BenchmarkCut(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		long := tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.String("url.full", strings.Repeat("x", 100*n))}}
		for name, span := range map[string]sdktrace.ReadOnlySpan{
			"long": long.Snapshot(), "many": tracetest.SpanStub{Attributes: many(n, 200)}.Snapshot(),
		} {
			message := otlp.AppendSpan(nil, span, 0)
			for _, bound := range []int{0, 64 << 10} {
				b.Run(fmt.Sprintf("%s/%d/%d", name, n, bound), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						otlp.AppendSpan(message[:0], span, bound)
					}
				})
			}
		}
	}
}
