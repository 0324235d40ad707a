package otelsetup_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestConsolePrintsOTLP: each line on standard output is a request in the JSON
// encoding of OTLP, which a receiver takes as it is.
func TestConsolePrintsOTLP(t *testing.T) {
	store := &otlpreceiver.Store{}
	receiver := store.Handler()
	out, _ := finish(t, process(t, "returns nil", "OTEL_TRACES_EXPORTER=console", "OTEL_METRICS_EXPORTER=console", "OTEL_LOGS_EXPORTER=none"))
	for line := range strings.Lines(out) {
		path := "/v1/traces"
		if strings.HasPrefix(line, `{"resourceMetrics":`) {
			path = "/v1/metrics"
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(line))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		if receiver.ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("%d for %s", w.Code, line)
		}
	}
	spans := store.Spans()
	if len(spans) != 1 || spans[0].GetName() != "work" || spans[0].Scope.GetName() != "test" || spans[0].Service() != "program" {
		t.Errorf("printed %d spans: %s", len(spans), out)
	}
	var names []string
	for _, m := range store.Metrics() {
		names = append(names, m.GetName())
	}
	if !slices.Contains(names, "go.goroutine.count") {
		t.Errorf("printed the metrics %q", names)
	}
}
