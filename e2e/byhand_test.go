package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestByHandOutlivesAnOutage runs examples/byhand against a collector that is
// overloaded at first: the queue under otlptracehttp keeps the spans until it is
// not any more.
func TestByHandOutlivesAnOutage(t *testing.T) {
	store := &otlpreceiver.Store{}
	takes := store.Handler()
	var requests atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		takes.ServeHTTP(w, r)
	}))
	defer collector.Close()
	p := process.Start(t, process.Build(t, "..", "./examples/byhand"), nil, []string{exportTo(collector.URL), "OTEL_SERVICE_NAME=byhand"})
	if code := p.Wait(t, exitLimit); code != 0 || p.Stdout() != "order 7\n" {
		t.Fatalf("exit code %d, printed %q:\n%s", code, p.Stdout(), p.Stderr())
	}
	var names []string
	for _, s := range store.Spans() {
		names = append(names, s.GetName())
	}
	if got := strings.Join(names, ", "); len(names) != 2 || !strings.Contains(got, "GET /orders/{id}") {
		t.Errorf("spans %q", got)
	}
}
