// Command byhand wires the parts of this project by hand with those of
// OpenTelemetry: propagator, sampler and delivery with the SDK, otlptracehttp and
// otelhttp, and nothing of otelsetup. It serves one request to itself and sends
// the spans to OTEL_EXPORTER_OTLP_ENDPOINT.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
	"github.com/clewtrace/clew/sampler"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) (err error) {
	queue, err := delivery.New(delivery.Config{})
	if err != nil {
		return err
	}
	// The exporter reads the variables, and hands its requests to the queue, which
	// sends them until they are taken. The SDK may therefore wait for the exporter
	// instead of dropping spans.
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(queue.Client(delivery.Traces)))
	if err != nil {
		return err
	}
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sampler.New(sampler.ParentThreshold(sampler.Probability(1)))),
		sdktrace.WithBatcher(exporter, sdktrace.WithBlocking()),
	)
	// In this order: what the SDK still holds goes to the queue, and the queue says
	// what it could not deliver.
	defer func() { err = errors.Join(err, tracers.Shutdown(ctx), queue.Shutdown(ctx)) }()
	otel.SetTracerProvider(tracers)
	// The order matters to nobody. trust.Propagator makes all of them obey a trust
	// boundary.
	otel.SetTextMapPropagator(trust.Propagator(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{})))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "order", r.PathValue("id")) })
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: otelhttp.NewHandler(mux, ""), ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends with Close
	defer server.Close()

	client := &http.Client{Transport: otelhttp.NewTransport(&http.Transport{DisableKeepAlives: true})}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/orders/7", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(out, resp.Body)
	return err
}
