package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

// A collector that answers 503 twice before it takes anything loses nothing.
func Example() {
	var requests atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer collector.Close()

	ctx := context.Background()
	transport, err := delivery.New(delivery.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		transport.SpanProcessor(delivery.Route{URL: collector.URL + "/v1/traces"}, delivery.Batch{})))

	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()

	if err := provider.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	if err := transport.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	stats := transport.Stats(delivery.Traces)
	fmt.Println("delivered:", stats.Delivered, "dropped:", stats.DroppedTotal())
	// Output:
	// delivered: 1 dropped: 0
}

// start returns a Transport, and the address of a collector that prints where
// requests arrive. The function ends both.
func start() (transport *delivery.Transport, address string, end func()) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}))
	transport, err := delivery.New(delivery.Config{})
	if err != nil {
		panic(err) // the zero Config is ready to use
	}
	return transport, collector.URL, func() {
		if err := transport.Shutdown(context.Background()); err != nil {
			fmt.Println(err)
		}
		collector.Close()
	}
}

// A Route says where spans go, and a Batch when.
func ExampleTransport_SpanProcessor() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(transport.SpanProcessor(
		delivery.Route{
			URL:    collector + "/v1/traces",
			Header: http.Header{"Api-Key": {"secret"}},
			Gzip:   true,
		},
		delivery.Batch{MaxItems: 512, Delay: 5 * time.Second},
	)))

	for range 3 {
		_, span := provider.Tracer("example").Start(ctx, "work")
		span.End() // encodes it
	}
	fmt.Println("queued:", transport.Stats(delivery.Traces).Queued)
	if err := transport.ForceFlush(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Traces).Delivered)
	// Output:
	// queued: 3
	// POST /v1/traces application/x-protobuf
	// delivered: 3
}

// Log records go the same way as spans.
func ExampleTransport_LogProcessor() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(
		transport.LogProcessor(delivery.Route{URL: collector + "/v1/logs", JSON: true}, delivery.Batch{})))

	var record log.Record
	record.SetBody(attribute.StringValue("order taken"))
	provider.Logger("example").Emit(ctx, record)
	if err := transport.ForceFlush(ctx); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Logs).Delivered)
	// Output:
	// POST /v1/logs application/json
	// delivered: 1
}

// The reader of the SDK collects metrics and has them exported. What counts in Stats
// is data points.
func ExampleTransport_MetricExporter() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	exporter := transport.MetricExporter(delivery.Route{URL: collector + "/v1/metrics"}, nil, nil)
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))

	orders, err := provider.Meter("example").Int64Counter("orders")
	if err != nil {
		fmt.Println(err)
	}
	orders.Add(ctx, 1)
	// Shutdown collects for the last time, so it comes before the end of the Transport.
	if err := errors.Join(provider.Shutdown(ctx), transport.ForceFlush(ctx)); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Metrics).Delivered)
	// Output:
	// POST /v1/metrics application/x-protobuf
	// delivered: 1
}

// A Transport is made first, because the provider of the metrics about it may export
// over it.
func ExampleTransport_Observe() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	reader := sdkmetric.NewManualReader()
	transport.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))

	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		transport.SpanProcessor(delivery.Route{URL: collector + "/v1/traces"}, delivery.Batch{})))
	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()

	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		fmt.Println(err)
	}
	for _, m := range metrics.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "otel.sdk.exporter.span.inflight" {
			fmt.Println(m.Name, sum.DataPoints[0].Value)
		}
	}
	// Output:
	// otel.sdk.exporter.span.inflight 1
	// POST /v1/traces application/x-protobuf
}

// withoutHealthChecks is an exporter that leaves spans out.
type withoutHealthChecks struct{ sdktrace.SpanExporter }

func (e withoutHealthChecks) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	var rest []sdktrace.ReadOnlySpan
	for _, s := range spans {
		if s.Name() != "GET /health" {
			rest = append(rest, s)
		}
	}
	return e.SpanExporter.ExportSpans(ctx, rest)
}

// An exporter is for what wants to see spans before they are encoded. The batch
// processor of the SDK is in front of it.
func ExampleTransport_SpanExporter() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	exporter := withoutHealthChecks{transport.SpanExporter(delivery.Route{URL: collector + "/v1/traces"})}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()))

	for _, name := range []string{"GET /orders", "GET /health"} {
		_, span := provider.Tracer("example").Start(ctx, name)
		span.End()
	}
	if err := errors.Join(provider.Shutdown(ctx), transport.ForceFlush(ctx)); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Traces).Delivered)
	// Output:
	// POST /v1/traces application/x-protobuf
	// delivered: 1
}

// The exporters of OpenTelemetry work on a Transport, too.
func ExampleTransport_Client() {
	ctx := context.Background()
	transport, collector, end := start()
	defer end()
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(collector+"/v1/traces"),
		otlptracehttp.WithHTTPClient(transport.Client(delivery.Traces)))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()))

	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()
	if err := errors.Join(provider.Shutdown(ctx), transport.ForceFlush(ctx)); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Traces).Delivered)
	// Output:
	// POST /v1/traces application/x-protobuf
	// delivered: 1
}

// Shutdown says what was not delivered, for each signal. Here the collector takes
// nothing but what has a key.
func ExampleUndeliveredError() {
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer collector.Close()
	transport, err := delivery.New(delivery.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		transport.SpanProcessor(delivery.Route{URL: collector.URL + "/v1/traces"}, delivery.Batch{})))
	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()

	err = transport.Shutdown(ctx)
	if undelivered, ok := errors.AsType[*delivery.UndeliveredError](err); ok {
		fmt.Println(strings.Replace(undelivered.Error(), collector.URL, "http://collector", 1))
	}
	// Output:
	// traces: 1 of 1 spans not delivered: dropped 1 (401): http://collector/v1/traces: 401 Unauthorized
}
