package otelsetup_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/sampler/tail"
)

// TestLastExportHasTheMetricsOfTheRest shuts down while the tail sampler has a
// trace to decide on: what it says of that is in the last export of metrics, and
// in no export of the next start.
func TestLastExportHasTheMetricsOfTheRest(t *testing.T) {
	for n := range 12 {
		store, _, flush := start(t, otelsetup.Customize(extend.Customizers{
			SpanProcessor: func(next sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) {
				return tail.NewProcessor(next, tail.Config{Timeout: time.Hour})
			},
		}))
		ctx, root := otel.Tracer("test").Start(t.Context(), "root")
		_, child := otel.Tracer("test").Start(ctx, "child")
		child.End() // without its root, it waits
		flush()
		root.End()
		got := sums(store)
		if kept := got["clew.tail.spans.kept"]; kept != 1 {
			t.Errorf("start %d: the last export says %v spans kept, want 1; all: %v", n, kept, got)
		}
		if len(store.Spans()) != 1 {
			t.Errorf("start %d: %d spans arrived, want 1", n, len(store.Spans()))
		}
	}
}

// stuck is a span processor that does not end before it is released.
type stuck struct{ release chan struct{} }

func (stuck) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (stuck) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (s stuck) ForceFlush(context.Context) error              { <-s.release; return nil }
func (s stuck) Shutdown(context.Context) error                { <-s.release; return nil }

// TestShutdownLeavesBehindWhoIsStuck has a span processor that neither flushes
// nor ends: metrics and log records arrive all the same, and Shutdown returns.
func TestShutdownLeavesBehindWhoIsStuck(t *testing.T) {
	s := stuck{make(chan struct{})}
	defer close(s.release)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	store := &otlpreceiver.Store{}
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		store.Handler().ServeHTTP(w, r)
		if r.URL.Path == "/v1/metrics" {
			close(arrived)
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler), otelsetup.WithSpanProcessor(s))
	if err != nil {
		t.Fatal(err)
	}
	counter, err := otel.Meter("stuck").Int64Counter("stuck.counter")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	go func() { <-arrived; cancel() }()
	if err := telemetry.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "traces: not delivered in time") {
		t.Errorf("Shutdown says %v, not that the span processor did not end", err)
	}
	if got := sums(store)["stuck.counter"]; got != 1 {
		t.Errorf("stuck.counter is %v, want 1", got)
	}
}
