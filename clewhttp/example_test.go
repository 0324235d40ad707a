package clewhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/propagator"
)

// recording returns a provider and what prints the spans that it has recorded.
func recording() (provider *sdktrace.TracerProvider, report func()) {
	spans := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)), func() {
		for _, s := range spans.GetSpans() {
			fmt.Println(s.SpanKind, s.Name)
		}
	}
}

// call makes a request of a handler, as a server does.
func call(h http.Handler, method, target string) {
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), method, target, nil))
}

func ExampleHandler() {
	provider, report := recording() // a program leaves the option out: the global provider is used
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	handler := clewhttp.Handler(mux, clewhttp.WithTracerProvider(provider))

	call(handler, "GET", "/orders/7")
	report()
	// Output: server GET /orders/{id}
}

func ExampleTransport() {
	provider, report := recording()
	stock := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("the trace goes on:", r.Header.Get("traceparent") != "")
	}))
	defer stock.Close()
	client := &http.Client{Transport: clewhttp.Transport(stock.Client().Transport, clewhttp.WithTracerProvider(provider), clewhttp.WithPropagator(propagator.New()))}

	resp, err := client.Get(stock.URL) //nolint:noctx // a program passes its context by http.NewRequestWithContext
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close() // ends the span
	report()
	// Output:
	// the trace goes on: true
	// client GET
}

func ExampleRoute() {
	provider, report := recording()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	type user struct{}
	authenticate := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), user{}, "ada"))) // another request
		})
	}

	call(clewhttp.Handler(authenticate(mux), clewhttp.WithTracerProvider(provider)), "GET", "/orders/7")
	call(clewhttp.Handler(authenticate(clewhttp.Route(mux)), clewhttp.WithTracerProvider(provider)), "GET", "/orders/7")
	report()
	// Output:
	// server GET
	// server GET /orders/{id}
}

func ExampleSetPattern() {
	provider, report := recording()
	router := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		clewhttp.SetPattern(r, "/orders/:id") // what the router has matched
	})

	call(clewhttp.Handler(router, clewhttp.WithTracerProvider(provider)), "GET", "/orders/7")
	report()
	// Output: server GET /orders/:id
}

func ExampleWithFilter() {
	provider, report := recording()
	handler := clewhttp.Handler(http.NotFoundHandler(), clewhttp.WithTracerProvider(provider),
		clewhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))

	call(handler, "GET", "/healthz")
	call(handler, "DELETE", "/orders/7")
	report()
	// Output: server DELETE
}
