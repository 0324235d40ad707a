package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestWhatIsTraced(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	shop, _ := handler(exporter)
	server := httptest.NewServer(shop)
	defer server.Close()
	for _, c := range []struct {
		path        string
		least, most int // spans kept of 500 requests
		tracestate  string
	}{
		{path: "/healthz", most: 0},
		{path: "/checkout", least: 500, most: 500, tracestate: "ot=th:0"},
		{path: "/checkout/pay", least: 500, most: 500, tracestate: "ot=th:0"},
		{path: "/products", least: 15, most: 100, tracestate: "ot=th:e666"}, // five standard deviations around 50
	} {
		exporter.Reset()
		for range 500 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+c.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := server.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		spans := exporter.GetSpans()
		if len(spans) < c.least || len(spans) > c.most {
			t.Errorf("%s: kept %d of 500, want %d to %d", c.path, len(spans), c.least, c.most)
		}
		for _, span := range spans {
			if got := span.SpanContext.TraceState().String(); got != c.tracestate {
				t.Fatalf("%s: tracestate %q, want %q", c.path, got, c.tracestate)
			}
		}
	}
}
