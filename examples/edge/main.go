// Command edge shows a service at the edge of a system. It believes the trace
// context of callers that know a secret, restarts the trace of all others and
// links to theirs, and sends trace context to its own hosts only.
//
//	go run ./examples/edge
//
// Everything runs in this process, on loopback: the edge, an own service behind
// it, and a third party.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "edge:", err)
		os.Exit(1)
	}
}

// printer makes the first span link the caller and prints what it is.
type printer struct{ w io.Writer }

func (p printer) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	if !s.Parent().IsValid() {
		trust.Link(ctx, s)
	}
	if s.SpanKind() != trace.SpanKindServer {
		return
	}
	fmt.Fprintf(p.w, "  edge: continues the caller's trace: %t\n", s.Parent().IsRemote())
	for _, link := range s.Links() {
		fmt.Fprintf(p.w, "  edge: links to %s\n", link.SpanContext.TraceID())
	}
}

func (printer) OnEnd(sdktrace.ReadOnlySpan)      {}
func (printer) Shutdown(context.Context) error   { return nil }
func (printer) ForceFlush(context.Context) error { return nil }

func run(ctx context.Context, w io.Writer) error {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(printer{w}))
	defer func() { _ = provider.Shutdown(ctx) }()
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(trust.Propagator(propagation.NewCompositeTextMapPropagator(
		propagator.New(), propagation.Baggage{})))

	own := service(w, "own service")
	defer own.Close()
	third := service(w, "third party")
	defer third.Close()

	// Outbound: localhost is ours; 127.0.0.1 plays the third party.
	hosts, err := trust.ParseHosts("localhost", "*.internal.example")
	if err != nil {
		return err
	}
	client := &http.Client{Transport: otelhttp.NewTransport(trust.Transport(nil, hosts))}
	defer client.CloseIdleConnections()

	// Inbound: callers that know the secret are believed.
	trusted := trust.Secret("X-Edge-Secret", "s3cret")
	edge := httptest.NewServer(trust.Handler(otelhttp.NewHandler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "  edge: baggage %q\n", baggage.FromContext(r.Context()))
		for _, url := range []string{strings.Replace(own.URL, "127.0.0.1", "localhost", 1), third.URL} {
			if err := get(r.Context(), client, url, nil); err != nil {
				http.Error(rw, err.Error(), http.StatusBadGateway)
				return
			}
		}
	}), "edge"), trusted))
	defer edge.Close()

	caller := http.Header{
		"Traceparent": {"00-0af7651916cd43dd84ffffffffffffff-b7ad6b7169203331-01"},
		"Tracestate":  {"ot=th:ffffffffffffff"},
		"Baggage":     {"user=root"},
	}
	fmt.Fprintln(w, "a stranger calls:")
	if err := get(ctx, http.DefaultClient, edge.URL, caller); err != nil {
		return err
	}
	fmt.Fprintln(w, "a caller with the secret calls:")
	caller.Set("X-Edge-Secret", "s3cret")
	return get(ctx, http.DefaultClient, edge.URL, caller)
}

// service prints which trace context reaches it.
func service(w io.Writer, name string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "  %s: traceparent sent: %t, baggage %q\n", name, r.Header.Get("Traceparent") != "", r.Header.Get("Baggage"))
	}))
}

func get(ctx context.Context, client *http.Client, url string, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, res.Status)
	}
	return nil
}
