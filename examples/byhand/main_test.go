package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestByHand(t *testing.T) {
	store := &otlpreceiver.Store{}
	receiver := httptest.NewServer(store.Handler())
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "order 7\n" {
		t.Errorf("printed %q", &out)
	}
	var names []string
	traces := map[string]bool{}
	for _, s := range store.Spans() {
		names = append(names, s.GetName())
		traces[string(s.GetTraceId())] = true
	}
	if got := strings.Join(names, ", "); len(traces) != 1 || got != "GET /orders/{id}, HTTP GET" && got != "HTTP GET, GET /orders/{id}" {
		t.Errorf("spans %s in %d traces", got, len(traces))
	}
}
