package otelsetup_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
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

// hanging is an exporter of the program's own that does not return before it is released.
type hanging struct {
	sdktrace.SpanExporter
	release chan struct{}
}

func (h hanging) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { <-h.release; return nil }
func (h hanging) Shutdown(context.Context) error                             { <-h.release; return nil }

// TestAHangingExporterTakesNoTimeFromDelivery: what waits for another attempt gets it at
// the end, and in a flush.
func TestAHangingExporterTakesNoTimeFromDelivery(t *testing.T) {
	for name, last := range map[string]func(*otelsetup.Telemetry, context.Context) error{
		"Shutdown": (*otelsetup.Telemetry).Shutdown, "ForceFlush": (*otelsetup.Telemetry).ForceFlush,
	} {
		t.Run(name, func(t *testing.T) {
			store := &otlpreceiver.Store{}
			var mended atomic.Bool
			failed := make(chan struct{}, 10)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !mended.Load() {
					w.WriteHeader(http.StatusServiceUnavailable)
					failed <- struct{}{}
					return
				}
				<-time.After(100 * time.Millisecond) // an attempt that begins when the time is over is too late
				store.Handler().ServeHTTP(w, r)
			}))
			defer server.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_LOGS_EXPORTER", "otlp")
			release := make(chan struct{})
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler), otelsetup.Customize(extend.Customizers{
				SpanExporter: func(next sdktrace.SpanExporter) sdktrace.SpanExporter { return hanging{next, release} },
				Delivery: func(c delivery.Config) delivery.Config {
					c.MinBackoff, c.MaxBackoff = time.Hour, time.Hour
					return c
				},
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer telemetry.Shutdown(context.Background()) //nolint:errcheck // it is tested before
			defer close(release)
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			slog.Error("waits")
			span.End()
			within := func(d time.Duration) context.Context {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				t.Cleanup(cancel)
				return ctx
			}
			_ = telemetry.ForceFlush(within(200 * time.Millisecond)) // fails, and a pause of an hour begins
			<-failed                                                 // the first attempt; that of the flush may come too late to be made
			mended.Store(true)
			if err := last(telemetry, within(2*time.Second)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "traces: ") {
				t.Errorf("%v", err)
			}
			if n := len(store.Logs()); n != 1 {
				t.Errorf("%d log records arrived, want 1", n)
			}
		})
	}
}

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

// TestACollectionThatShutdownStopsIsNoError: the one that was due is stopped, and the
// last one has everything.
func TestACollectionThatShutdownStopsIsNoError(t *testing.T) {
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "1")
	for range 20 {
		_, _, flush := start(t)
		collecting := make(chan struct{}, 1000)
		meter := otel.Meter("test")
		gauge, err := meter.Int64ObservableGauge("gauge")
		if err != nil {
			t.Fatal(err)
		}
		slow, err := meter.RegisterCallback(func(context.Context, metric.Observer) error {
			collecting <- struct{}{}
			<-time.After(2 * time.Millisecond) // longer than the interval, so that the next one is due
			return nil
		}, gauge)
		if err != nil {
			t.Fatal(err)
		}
		<-collecting
		flush()
		_ = slow.Unregister()
	}
}
