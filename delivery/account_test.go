package delivery_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clewtrace/clew/delivery"
)

// sums reports whether every accepted item is in exactly one place.
func sums(st delivery.Stats) bool {
	return st.Accepted == st.Queued+st.Delivered+st.DroppedTotal()+st.Kept && st.Queued >= 0 && st.QueuedBytes >= 0
}

// TestEveryItemIsCountedOnce: at any moment, with servers that fail in every way, with
// flushes and an end at any time.
func TestEveryItemIsCountedOnce(t *testing.T) {
	faults := []func(http.ResponseWriter){
		func(http.ResponseWriter) {}, func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) },
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusForbidden) }, func(w http.ResponseWriter) { w.WriteHeader(http.StatusRequestEntityTooLarge) },
		func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadRequest) },
	}
	for rule, shape := range map[string]func(*delivery.Config, string){
		"in memory":      func(*delivery.Config, string) {},
		"with a spool":   func(c *delivery.Config, dir string) { c.SpoolDir = dir },
		"with a journal": func(c *delivery.Config, dir string) { c.SpoolDir, c.Journal = dir, true },
	} {
		t.Run(rule, func(t *testing.T) {
			s := newStoppedSink(t)
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				if n := rand.N(2 * len(faults)); n < len(faults) {
					faults[n](w)
					return true
				}
				return false
			}
			s.Start()
			cfg := quick(new(handled))
			cfg.QueueSize = 256 << 10
			shape(&cfg, t.TempDir())
			tr := newTransport(t, cfg)
			spans := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{MaxItems: 50, Delay: 5 * time.Millisecond})
			records := tr.LogProcessor(delivery.Route{URL: s.URL + "/v1/logs"}, delivery.Batch{MaxItems: 20, Delay: time.Millisecond})
			points := tr.MetricExporter(delivery.Route{URL: s.URL + "/v1/metrics"}, nil, nil)
			const n = 1000
			var work, watch sync.WaitGroup
			var done atomic.Bool
			for worker := range 4 {
				work.Go(func() {
					for i := range n {
						endSpans(spans, i, 1)
						_ = records.OnEmit(t.Context(), new(sdklog.Record))
						if worker == 0 && i%100 == 0 {
							_ = points.Export(t.Context(), onePoint())
						}
					}
				})
			}
			watch.Go(func() {
				for !done.Load() {
					for _, signal := range []delivery.Signal{delivery.Traces, delivery.Metrics, delivery.Logs} {
						if st := tr.Stats(signal); !sums(st) {
							t.Errorf("%v: %+v", signal, st)
						}
					}
				}
			})
			watch.Go(func() {
				for !done.Load() {
					_ = spans.ForceFlush(t.Context())
					_ = tr.ForceFlush(t.Context())
				}
			})
			work.Go(func() { // ends while spans end
				for tr.Stats(delivery.Traces).Accepted < 4*n*3/4 {
					<-time.After(time.Millisecond)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_ = spans.Shutdown(ctx)
				_ = tr.Shutdown(ctx)
			})
			work.Wait()
			done.Store(true)
			watch.Wait()
			for signal, want := range map[delivery.Signal]int64{delivery.Traces: 4 * n, delivery.Metrics: n / 100, delivery.Logs: 4 * n} {
				if st := tr.Stats(signal); !sums(st) || st.Accepted != want || st.Queued != 0 || st.QueuedBytes != 0 {
					t.Errorf("%v: %+v: want all of %d accounted for", signal, st, want)
				}
			}
		})
	}
}

func onePoint() *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
		Name: "c", Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, DataPoints: []metricdata.DataPoint[int64]{{Value: 1}}},
	}}}}}
}

// TestUndeliveredErrorIsOneLine that says how much of how much, and why.
func TestUndeliveredErrorIsOneLine(t *testing.T) {
	cause := errors.New("connection refused")
	for want, err := range map[string]*delivery.UndeliveredError{
		"traces: 3 of 10 spans not delivered":                                                 {Signal: delivery.Traces, Items: 3, Accepted: 10},
		"metrics: 3 of 10 data points not delivered: connection refused":                      {Signal: delivery.Metrics, Items: 3, Accepted: 10, Err: cause},
		"logs: 3 of 10 log records not delivered: a; b; kept in /s for the next start":        {Signal: delivery.Logs, Items: 3, Accepted: 10, Kept: 3, Dir: "/s", Err: errors.Join(errors.New("a"), errors.New("b"))},
		"logs: 3 of 10 log records not delivered: a; 2 of them kept in /s for the next start": {Signal: delivery.Logs, Items: 3, Accepted: 10, Kept: 2, Dir: "/s", Err: errors.New("a")},
	} {
		if got := err.Error(); got != want {
			t.Errorf("%q: want %q", got, want)
		}
	}
}

// TestErrorsNameEachSignal: Shutdown returns one for each, with what was dropped before
// and what is left.
func TestErrorsNameEachSignal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{}
		net.do = func(n int) (*http.Response, error) {
			switch n {
			case 1:
				return answer(http.StatusForbidden)
			case 2:
				return answer(http.StatusOK)
			}
			return nil, errRefused
		}
		tr := newTransport(t, delivery.Config{Base: net, ErrorHandler: new(handled)})
		spans := tr.SpanProcessor(delivery.Route{URL: "http://user:secret@sink/v1/traces?key=secret"}, delivery.Batch{})
		records := tr.LogProcessor(delivery.Route{URL: "http://sink/v1/logs"}, delivery.Batch{})
		flushed := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return tr.ForceFlush(ctx)
		}
		endSpans(spans, 0, 3)
		if err := flushed(); err == nil || err.Error() != "traces: 3 of 3 spans not delivered: dropped 3 (403): http://sink/v1/traces" {
			t.Errorf("ForceFlush: %v", err)
		}
		endSpans(spans, 3, 4)
		if err := flushed(); err != nil {
			t.Errorf("ForceFlush names what was dropped before it began: %v", err)
		}
		endSpans(spans, 7, 2)
		must(t, records.OnEmit(t.Context(), new(sdklog.Record)))
		const left = "traces: 2 of 9 spans not delivered: http://sink/v1/traces: connection refused: context deadline exceeded"
		const leftLogs = "logs: 1 of 1 log records not delivered: http://sink/v1/logs: connection refused: context deadline exceeded"
		if err := flushed(); err == nil || err.Error() != left+"\n"+leftLogs {
			t.Errorf("ForceFlush: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := tr.Shutdown(ctx)
		if err == nil || err.Error() != strings.Replace(left, "2 of 9", "5 of 9", 1)+"; dropped 3 (403): http://sink/v1/traces\n"+leftLogs {
			t.Errorf("Shutdown: %v", err)
		}
		u, ok := errors.AsType[*delivery.UndeliveredError](err)
		if !ok || u.Signal != delivery.Traces || u.Items != 5 || u.Accepted != 9 || u.Kept != 0 || u.URL != "http://sink/v1/traces" || !errors.Is(err, errRefused) {
			t.Errorf("%+v", u)
		}
		if err := tr.Shutdown(t.Context()); err != nil {
			t.Errorf("second Shutdown: %v", err)
		}
	})
}

// TestForceFlushOfAProcessor does not wait for a server that is away: what was collected
// is in the queue then.
func TestForceFlushOfAProcessor(t *testing.T) {
	away := newStoppedSink(t)
	must(t, away.Listener.Close())
	tr := newTransport(t, quick(new(handled)))
	p := tr.SpanProcessor(delivery.Route{URL: "http://" + away.Listener.Addr().String()}, delivery.Batch{Delay: time.Hour})
	endSpans(p, 0, 1)
	collected := tr.Stats(delivery.Traces).QueuedBytes
	must(t, p.ForceFlush(t.Context()))
	if st := tr.Stats(delivery.Traces); st.Queued != 1 || st.QueuedBytes <= collected {
		t.Errorf("%+v, want a request in the queue, which takes more than the %d bytes that were collected", st, collected)
	}
}

// TestObserveLater: metrics about delivery begin with Observe, whatever goes on then.
func TestObserveLater(t *testing.T) {
	s := newSink(t)
	tr := newTransport(t, quick(new(handled)))
	tr.Observe(nil)
	p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{MaxItems: 1})
	var work sync.WaitGroup
	work.Go(func() { endSpans(p, 0, 200) })
	readers := []*sdkmetric.ManualReader{sdkmetric.NewManualReader(), sdkmetric.NewManualReader()}
	for _, r := range readers {
		tr.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(r)))
	}
	work.Wait()
	flush(t, tr)
	for i, r := range readers {
		var rm metricdata.ResourceMetrics
		must(t, r.Collect(t.Context(), &rm))
		if observed := len(rm.ScopeMetrics) > 0; observed != (i == 0) {
			t.Errorf("meter provider %d gets metrics: %t", i, observed)
		}
	}
	late := newTransport(t, quick(new(handled)))
	must(t, late.Shutdown(t.Context()))
	reader := sdkmetric.NewManualReader()
	late.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	var rm metricdata.ResourceMetrics
	must(t, reader.Collect(t.Context(), &rm))
	if len(rm.ScopeMetrics) > 0 {
		t.Error("observed after Shutdown")
	}
}
