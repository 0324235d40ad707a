// Command sampling is a shop that decides at its entry point which requests to
// trace: health checks never, checkout always, of the rest 10%.
//
//	go run ./examples/sampling
//	curl -i localhost:8080/healthz localhost:8080/checkout localhost:8080/products
//
// Every kept span is printed. Its tracestate says for how many requests it
// stands: ot=th:0 for one, ot=th:e666 for ten.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

// policy looks at the path, which is among the attributes that a server span
// starts with. Requests that are part of a trace already follow the caller.
func policy() sampler.Composable {
	path := func(pattern string) sampler.Match {
		return sampler.Match{Attributes: map[attribute.Key]string{"url.path": pattern}}
	}
	return sampler.ParentThreshold(sampler.Rules(
		sampler.Rule{Match: path("/healthz"), Sampler: sampler.AlwaysOff()},
		sampler.Rule{Match: path("/checkout*"), Sampler: sampler.AlwaysOn()},
		sampler.Rule{Sampler: sampler.Probability(0.1)},
	))
}

// printer is an exporter that prints one line per span.
type printer struct{}

func (printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, span := range spans {
		for _, kv := range span.Attributes() {
			if kv.Key == "url.path" {
				fmt.Println("kept", kv.Value.AsString(), span.SpanContext().TraceState())
			}
		}
	}
	return nil
}

func (printer) Shutdown(context.Context) error { return nil }

// handler serves the shop and traces it by policy.
func handler(exporter sdktrace.SpanExporter) (http.Handler, *sdktrace.TracerProvider) {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSyncer(exporter),
		sdktrace.WithSampler(sampler.New(policy())),
	)
	shop := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "served", r.URL.Path) })
	return otelhttp.NewHandler(shop, "shop", otelhttp.WithTracerProvider(provider)), provider
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	shop, provider := handler(printer{})
	server := &http.Server{
		Addr:              "localhost:8080",
		Handler:           shop,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	fmt.Println("listening on http://localhost:8080")
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return provider.Shutdown(context.Background())
}
