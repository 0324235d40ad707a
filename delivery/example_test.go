package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
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

// The exporters of OpenTelemetry work on a Transport, too.
func ExampleTransport_Client() {
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer collector.Close()

	ctx := context.Background()
	transport, err := delivery.New(delivery.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(collector.URL+"/v1/traces"),
		otlptracehttp.WithHTTPClient(transport.Client(delivery.Traces)))
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()))

	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()

	if err := errors.Join(provider.Shutdown(ctx), transport.Shutdown(ctx)); err != nil {
		fmt.Println(err)
	}
	fmt.Println("delivered:", transport.Stats(delivery.Traces).Delivered)
	// Output:
	// delivered: 1
}
