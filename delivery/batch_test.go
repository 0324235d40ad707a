package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

// named is a sampled span that has ended.
func named(name string, more ...attribute.KeyValue) sdktrace.ReadOnlySpan {
	return stub(name, more...).Snapshot()
}

func stub(name string, more ...attribute.KeyValue) tracetest.SpanStub {
	return tracetest.SpanStub{
		Name: name, Attributes: more, Resource: resource.Empty(),
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled}),
	}
}

func endSpans(p sdktrace.SpanProcessor, from, n int) (names []string) {
	for i := from; i < from+n; i++ {
		names = append(names, fmt.Sprint("span ", i))
		p.OnEnd(named(names[len(names)-1]))
	}
	return names
}

// TestBatchesAreHandedOver by what comes first: their items, their bytes, or the delay
// since their first item.
func TestBatchesAreHandedOver(t *testing.T) {
	text := attribute.String("text", strings.Repeat("x", 1000))
	for rule, tc := range map[string]struct {
		batch delivery.Batch
		attrs []attribute.KeyValue
		ended int
		sent  []int         // spans of each request
		after time.Duration // the last of them
	}{
		"nothing before the delay":  {delivery.Batch{Delay: 3 * time.Second}, nil, 5, []int{5}, 3 * time.Second},
		"after a second, if unset":  {delivery.Batch{}, nil, 5, []int{5}, time.Second},
		"by items":                  {delivery.Batch{MaxItems: 10}, nil, 25, []int{10, 10, 5}, time.Second},
		"by 2048 items, if unset":   {delivery.Batch{Delay: time.Hour}, nil, 2048, []int{2048}, 0},
		"by bytes":                  {delivery.Batch{MaxBytes: 4 << 10}, []attribute.KeyValue{text}, 8, []int{3, 3, 2}, time.Second},
		"by a mebibyte, if unset":   {delivery.Batch{Delay: time.Hour}, []attribute.KeyValue{text}, 1020, []int{1000}, 0},
		"at once, if negative":      {delivery.Batch{Delay: -1}, nil, 1, []int{1}, 0},
		"never more than may queue": {delivery.Batch{MaxItems: 10, MaxQueueItems: 4}, nil, 4, []int{4}, 0},
	} {
		t.Run(rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &scripted{do: func(int) (*http.Response, error) { return answer(http.StatusOK) }}
				tr := newTransport(t, delivery.Config{Base: net, Senders: 1, ErrorHandler: new(handled)})
				p := tr.SpanProcessor(delivery.Route{}, tc.batch)
				began := time.Now()
				for range tc.ended {
					p.OnEnd(named("span", tc.attrs...))
				}
				time.Sleep(10 * time.Second)
				at := net.attempts()
				if tc.sent[0] == 1000 { // how many fit is the encoder's business
					if len(net.spans) != 1 || net.spans[0] < 980 || net.spans[0] > 1020 {
						t.Errorf("requests of %v spans", net.spans)
					}
				} else if !slices.Equal(net.spans, tc.sent) {
					t.Errorf("requests of %v spans: want %v", net.spans, tc.sent)
				}
				if len(at) > 0 && at[len(at)-1].Sub(began) != tc.after {
					t.Errorf("the last after %v: want %v", at[len(at)-1].Sub(began), tc.after)
				}
			})
		})
	}
}

// TestAtOnceIsNotOneByOne: what ends while requests wait goes together.
func TestAtOnceIsNotOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) {
			time.Sleep(100 * time.Millisecond)
			return answer(http.StatusOK)
		}}
		tr := newTransport(t, delivery.Config{Base: net, Senders: 1, ErrorHandler: new(handled)})
		p := tr.SpanProcessor(delivery.Route{}, delivery.Batch{Delay: -1})
		for i := range 1000 {
			endSpans(p, i, 1)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if st := tr.Stats(delivery.Traces); st.Delivered != 1000 || len(net.attempts()) > 30 || net.spans[0] != 1 {
			t.Errorf("%d delivered with %d requests", st.Delivered, len(net.attempts()))
		}
	})
}

// TestBatchKeepsResourcesAndScopes: each span is sent under its own, and what is the
// same is sent once in a request.
func TestBatchKeepsResourcesAndScopes(t *testing.T) {
	resources := []*resource.Resource{
		resource.NewSchemaless(attribute.String("service.name", "a")), resource.NewSchemaless(attribute.String("service.name", "b")),
		resource.NewWithAttributes("https://example.com/schema", attribute.String("service.name", "a")),
	}
	type place struct{ service, resourceSchema, scope, scopeSchema string }
	for rule, override := range map[string]*resource.Resource{"their own": nil, "that of Config.Resource": resource.NewSchemaless(attribute.String("service.name", "c"))} {
		t.Run(rule, func(t *testing.T) {
			var got []*coltracepb.ExportTraceServiceRequest
			s := newStoppedSink(t)
			s.fault = func(_ http.ResponseWriter, _ *http.Request, body []byte) bool {
				r := new(coltracepb.ExportTraceServiceRequest)
				if err := proto.Unmarshal(body, r); err != nil {
					t.Error(err)
				}
				got = append(got, r)
				return false
			}
			s.Start()
			cfg := quick(new(handled))
			cfg.Resource = override
			tr := newTransport(t, cfg)
			p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{})
			want := make(map[string]place)
			for i := range 60 {
				span := stub(fmt.Sprint("span ", i))
				span.Resource = resources[i%3]
				span.InstrumentationScope = instrumentation.Scope{Name: fmt.Sprint("scope ", i%4), SchemaURL: fmt.Sprint("https://example.com/", i%2)}
				p.OnEnd(span.Snapshot())
				service, _ := span.Resource.Set().Value("service.name")
				want[span.Name] = place{service.AsString(), span.Resource.SchemaURL(), span.InstrumentationScope.Name, span.InstrumentationScope.SchemaURL}
				if override != nil {
					want[span.Name] = place{"c", "", span.InstrumentationScope.Name, span.InstrumentationScope.SchemaURL}
				}
			}
			flush(t, tr)
			must(t, tr.Shutdown(context.Background()))
			if len(got) != 1 {
				t.Fatalf("%d requests", len(got))
			}
			found := 0
			seen := make(map[place]bool)
			for _, rs := range got[0].ResourceSpans {
				for _, ss := range rs.ScopeSpans {
					here := place{rs.Resource.Attributes[0].Value.GetStringValue(), rs.SchemaUrl, ss.Scope.Name, ss.SchemaUrl}
					if seen[here] {
						t.Errorf("%v is there twice", here)
					}
					seen[here] = true
					for _, span := range ss.Spans {
						found++
						if want[span.Name] != here {
							t.Errorf("%s is under %v: want %v", span.Name, here, want[span.Name])
						}
					}
				}
			}
			wantResources := 3
			if override != nil {
				wantResources = 1
			}
			if found != 60 || len(got[0].ResourceSpans) != wantResources {
				t.Errorf("%d spans under %d resources: want 60 under %d", found, len(got[0].ResourceSpans), wantResources)
			}
		})
	}
}

// TestManyScopes: a program that makes scopes up without end loses nothing.
func TestManyScopes(t *testing.T) {
	s := newSink(t)
	tr := newTransport(t, quick(new(handled)))
	p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{})
	var names []string
	for i := range 3000 {
		span := stub(fmt.Sprint("span ", i))
		span.InstrumentationScope.Name = span.Name
		names = append(names, span.Name)
		p.OnEnd(span.Snapshot())
	}
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d twice", lost, twice)
	}
}

// TestNotSampledSpansAreNotExported: nor are they counted.
func TestNotSampledSpansAreNotExported(t *testing.T) {
	tr := newTransport(t, quick(new(handled)))
	span := stub("a")
	span.SpanContext = span.SpanContext.WithTraceFlags(0)
	tr.SpanProcessor(delivery.Route{}, delivery.Batch{}).OnEnd(span.Snapshot())
	if st := tr.Stats(delivery.Traces); st.Accepted != 0 {
		t.Errorf("%+v", st)
	}
}

// TestAfterShutdown: what comes too late is counted, whoever was shut down.
func TestAfterShutdown(t *testing.T) {
	ctx := context.Background()
	for rule, shut := range map[string]func(*delivery.Transport, sdktrace.SpanProcessor, sdklog.Processor) error{
		"the processors": func(_ *delivery.Transport, sp sdktrace.SpanProcessor, lp sdklog.Processor) error {
			return errors.Join(sp.Shutdown(ctx), lp.Shutdown(ctx))
		},
		"the transport": func(tr *delivery.Transport, _ sdktrace.SpanProcessor, _ sdklog.Processor) error {
			return tr.Shutdown(ctx)
		},
	} {
		t.Run(rule, func(t *testing.T) {
			s := newSink(t)
			tr := newTransport(t, quick(new(handled)))
			sp := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{Delay: time.Hour})
			lp := tr.LogProcessor(delivery.Route{URL: s.URL + "/v1/logs"}, delivery.Batch{Delay: time.Hour})
			var r sdklog.Record
			r.SetSeverity(log.SeverityInfo)
			early := endSpans(sp, 0, 3)
			must(t, lp.OnEmit(ctx, &r))
			must(t, shut(tr, sp, lp))
			endSpans(sp, 3, 2)
			must(t, lp.OnEmit(ctx, &r))
			flush(t, tr)
			if lost, _ := s.lost(early); lost != 0 || s.records != 1 {
				t.Errorf("%d spans lost, %d records arrived", lost, s.records)
			}
			if st := tr.Stats(delivery.Traces); st.Accepted != 5 || st.Delivered != 3 || st.Dropped["shutdown"] != 2 || st.Queued != 0 {
				t.Errorf("spans: %+v", st)
			}
			if st := tr.Stats(delivery.Logs); st.Accepted != 2 || st.Delivered != 1 || st.Dropped["shutdown"] != 1 || st.Queued != 0 {
				t.Errorf("records: %+v", st)
			}
			if rule == "the transport" {
				if err := tr.SpanExporter(delivery.Route{}).ExportSpans(ctx, tracetest.SpanStubs{stub("a")}.Snapshots()); err != delivery.ErrShutdown { //nolint:errorlint // as documented
					t.Errorf("export: %v", err)
				}
			}
		})
	}
}

// TestMaxQueueItems: beyond them, the oldest are dropped.
func TestMaxQueueItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		net := &scripted{do: func(int) (*http.Response, error) {
			if up.Load() {
				return answer(http.StatusOK)
			}
			return nil, errRefused
		}}
		tr := newTransport(t, delivery.Config{Base: net, ErrorHandler: new(handled)})
		p := tr.SpanProcessor(delivery.Route{}, delivery.Batch{MaxItems: 10, MaxQueueItems: 50})
		other := tr.LogProcessor(delivery.Route{}, delivery.Batch{})
		for range 100 {
			must(t, other.OnEmit(t.Context(), new(sdklog.Record)))
		}
		endSpans(p, 0, 200)
		time.Sleep(time.Minute)
		if st := tr.Stats(delivery.Traces); st.Queued != 50 || st.Dropped["queue_full"] != 150 {
			t.Errorf("%+v: want 50 queued, 150 dropped", st)
		}
		if st := tr.Stats(delivery.Logs); st.Queued != 100 {
			t.Errorf("records: %+v: want all queued", st)
		}
		up.Store(true)
		time.Sleep(time.Minute)
		if st := tr.Stats(delivery.Traces); st.Delivered != 50 {
			t.Errorf("%+v: want 50 delivered", st)
		}
	})
}

// TestOpenBatchesCount in the bytes of the queue.
func TestOpenBatchesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) { return nil, errRefused }}
		cfg := delivery.Config{Base: net, QueueSize: 128 << 10, SignalFloor: 1, ErrorHandler: new(handled)}
		tr := newTransport(t, cfg)
		text := attribute.String("text", strings.Repeat("x", 10<<10))
		open := tr.SpanProcessor(delivery.Route{URL: "http://a"}, delivery.Batch{Delay: time.Hour})
		for range 2 {
			open.OnEnd(named("open", text))
		}
		if st := tr.Stats(delivery.Traces); st.Queued != 2 || st.QueuedBytes < 20<<10 {
			t.Errorf("%+v: want what is collected to be counted", st)
		}
		for range 200 {
			post(t, tr, delivery.Traces, "http://b", []byte(strings.Repeat("x", 1000)))
		}
		if st := tr.Stats(delivery.Traces); st.QueuedBytes > cfg.QueueSize || st.QueuedBytes < cfg.QueueSize*9/10 {
			t.Errorf("%+v: want the bound of %d to be kept", st, cfg.QueueSize)
		}
		time.Sleep(time.Second)
		if st := tr.Stats(delivery.Traces); st.OldestAge != time.Second {
			t.Errorf("oldest is %v old", st.OldestAge)
		}
	})
}

// TestLargeSpansHarmNobodyElse: where a collector takes requests up to 4 MiB only, and
// every tenth span has 2 MB of text, all ordinary spans arrive, and the large ones cut.
func TestLargeSpansHarmNobodyElse(t *testing.T) {
	s := newStoppedSink(t)
	var largest atomic.Int64
	s.fault = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		largest.Store(max(largest.Load(), int64(len(body))))
		if len(body) > 4<<20 {
			w.WriteHeader(http.StatusBadRequest)
			return true
		}
		return false
	}
	s.Start()
	cfg := quick(new(handled))
	cfg.QueueSize = 8 << 20
	tr := newTransport(t, cfg)
	p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Batch{})
	text := attribute.String("url.full", strings.Repeat("x", 2_000_000))
	var names []string
	for i := range 300 {
		if i%10 == 0 {
			p.OnEnd(named("large", text))
		}
		names = append(names, endSpans(p, i, 1)...)
		if i%30 == 0 {
			flush(t, tr) // the queue is smaller than all of them together
		}
	}
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 || s.spans["large"] != 30 {
		t.Errorf("%d ordinary spans lost, %d twice; %d large ones arrived", lost, twice, s.spans["large"])
	}
	if n := largest.Load(); n > delivery.DefaultMaxBytes+1<<10 {
		t.Errorf("a request has %d bytes", n)
	}
	must(t, tr.Shutdown(context.Background()))
}

// TestErrorHandlerMayLog through the processor whose records were dropped, and flush it.
func TestErrorHandlerMayLog(t *testing.T) {
	away := newStoppedSink(t)
	must(t, away.Listener.Close())
	var records sdklog.Processor
	var told atomic.Int64
	cfg := quick(nil)
	cfg.ErrorHandler = otel.ErrorHandlerFunc(func(err error) {
		if !errors.As(err, new(*delivery.DroppedError)) {
			return
		}
		told.Add(1)
		_ = records.OnEmit(context.Background(), new(sdklog.Record))
		_ = records.ForceFlush(context.Background())
	})
	tr := newTransport(t, cfg)
	records = tr.LogProcessor(delivery.Route{URL: "http://" + away.Listener.Addr().String()}, delivery.Batch{MaxItems: 1, MaxQueueItems: 1})
	for range 100 {
		must(t, records.OnEmit(t.Context(), new(sdklog.Record)))
	}
	must(t, records.ForceFlush(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = tr.Shutdown(ctx)
	if st := tr.Stats(delivery.Logs); told.Load() == 0 || !sums(st) {
		t.Errorf("told %d times, %+v", told.Load(), st)
	}
}
