// Command ownsdk installs an SDK of its own, which prints the names of spans.
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

type printer struct{}

func (printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Println(s.SpanKind(), s.Name())
	}
	return nil
}
func (printer) Shutdown(context.Context) error { return nil }

// These are there before the SDK is.
var (
	tracer     = otel.Tracer("of a package")
	propagator = otel.GetTextMapPropagator()
)

func main() {
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{})))
	otel.SetTextMapPropagator(propagation.Baggage{})
	fmt.Println(propagator.Fields())
	_, span := tracer.Start(context.Background(), "of a package")
	span.End()
	s := httptest.NewServer(otelhttp.NewHandler(http.NotFoundHandler(), "served"))
	client := &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)}
	resp, err := client.Get(s.URL)
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	s.Close()
}
