package e2e_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/sampler/tail"
)

const (
	tailRequests = 12_000
	tailSpans    = 4 // of a request, that of the server included
	tailShare    = 0.25
	tailSlow     = 300 * time.Millisecond
)

// TestTailKeepsWhatMatters puts a service under load whose head sampler drops
// everything and whose tail keeps the failed, the slow and a quarter of the rest,
// and reads back from Jaeger what arrived.
//
// It logs the processor time of a request beside that of services which drop
// and export everything.
func TestTailKeepsWhatMatters(t *testing.T) {
	server := jaeger.Start(t, jaeger.Config{})
	provider, processor := tailProvider(t, server.OTLP)
	tailed := newTailLoad(t, provider)
	loads := []*tailLoad{
		newTailLoad(t, sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))),
		tailed,
		newTailLoad(t, sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample()),
			sdktrace.WithSpanProcessor(tailExporter(t, jaeger.Start(t, jaeger.Config{}).OTLP)))),
	}
	const rounds = 6
	for range rounds {
		for _, l := range loads {
			l.run(t, tailRequests/rounds)
		}
	}
	failed, slow, rest := tailed.failed, tailed.slow, tailed.rest
	t.Logf("processor time per request, client included, medians of %d rounds: %.0f µs with no span recorded, %.0f µs with the tail, %.0f µs with everything exported",
		rounds, loads[0].cost(), tailed.cost(), loads[2].cost())

	st := processor.Stats()
	t.Logf("%d failed, %d slow, %d other requests; the processor counts %+v", len(failed), len(slow), len(rest), st)
	stored := storedTraces(t, server, int(st.KeptSpans))
	for name, ids := range map[string][]trace.TraceID{"failed": failed, "slow": slow} {
		whole := 0
		for _, id := range ids {
			if stored[id] == tailSpans {
				whole++
			}
		}
		t.Logf("%s: %d of %d arrived with all spans", name, whole, len(ids))
		if whole != len(ids) {
			t.Errorf("of %d %s requests, %d arrived with all spans", len(ids), name, whole)
		}
	}
	kept := 0
	for _, id := range rest {
		switch stored[id] {
		case 0:
		case tailSpans:
			kept++
		default:
			t.Errorf("trace %s arrived with %d of %d spans", id, stored[id], tailSpans)
		}
	}
	// On a busy machine others are slow, too, and kept for that: they do not count.
	others := int(st.Kept["slow"]) - len(slow)
	share := float64(kept-others) / float64(len(rest)-others)
	t.Logf("rest: %d of %d arrived, %d of them for being slow: a share of %.4f", kept, len(rest), others, share)
	if share < tailShare*0.97 || share > tailShare*1.03 {
		t.Errorf("a share of %.4f of the rest arrived, want %v within 3%%", share, tailShare)
	}
}

// A tailLoad is a service under load.
type tailLoad struct {
	url                string
	provider           *sdktrace.TracerProvider
	rnd                *rand.Rand
	failed, slow, rest []trace.TraceID
	costs              []float64 // of the rounds, µs of processor time per request
}

func newTailLoad(t *testing.T, provider *sdktrace.TracerProvider) *tailLoad {
	t.Helper()
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	// The same trace ids each time, so that the share is the same each time.
	return &tailLoad{url: serve(t, provider), provider: provider, rnd: rand.New(rand.NewPCG(11, 12))}
}

func (l *tailLoad) cost() float64 {
	slices.Sort(l.costs)
	return l.costs[len(l.costs)/2]
}

// run has 16 clients make n requests.
func (l *tailLoad) run(t *testing.T, n int) {
	t.Helper()
	begin := processorTime(t)
	requests := make(chan *http.Request)
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			for req := range requests {
				res, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					continue
				}
				res.Body.Close()
			}
		})
	}
	for range n {
		var id trace.TraceID
		binary.BigEndian.PutUint64(id[:], l.rnd.Uint64())
		binary.BigEndian.PutUint64(id[8:], l.rnd.Uint64())
		path := "/"
		switch l.rnd.IntN(100) {
		case 0:
			path, l.failed = "/failed", append(l.failed, id)
		case 1:
			path, l.slow = "/slow", append(l.slow, id)
		default:
			l.rest = append(l.rest, id)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", fmt.Sprintf("00-%s-%016x-02", id, l.rnd.Uint64()|1))
		requests <- req
	}
	close(requests)
	clients.Wait()
	if err := l.provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.costs = append(l.costs, (processorTime(t)-begin).Seconds()*1e6/float64(n))
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func tailExporter(t *testing.T, otlp string) sdktrace.SpanProcessor {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(otlp+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	return sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithMaxQueueSize(tailRequests*tailSpans))
}

func tailProvider(t *testing.T, otlp string) (*sdktrace.TracerProvider, *tail.Processor) {
	t.Helper()
	processor, err := tail.NewProcessor(tailExporter(t, otlp), tail.Config{Policies: []tail.Policy{
		{Span: tail.Condition{Error: true}},
		{Root: tail.Condition{SlowerThan: tailSlow}},
		{Probability: tailShare},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithSampler(tail.Record(sdktrace.NeverSample())),
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("tail")))), processor
}

// serve runs a service whose requests have a span and three below it.
func serve(t *testing.T, provider *sdktrace.TracerProvider) string {
	t.Helper()
	tracer := provider.Tracer("test")
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range tailSpans - 1 {
			_, span := tracer.Start(r.Context(), "query")
			if i == 0 && r.URL.Path == "/slow" {
				time.Sleep(tailSlow + 10*time.Millisecond)
			}
			if i == 1 && r.URL.Path == "/failed" {
				span.SetStatus(codes.Error, "deadlock")
			}
			span.End()
		}
		w.WriteHeader(http.StatusNoContent)
	})
	service := httptest.NewServer(otelhttp.NewHandler(handler, "GET",
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagator.New())))
	t.Cleanup(service.Close)
	return service.URL
}

// storedTraces returns how many spans Jaeger has of each trace, once it has as
// many spans as were sent.
func storedTraces(t *testing.T, server *jaeger.Server, spans int) map[trace.TraceID]int {
	t.Helper()
	stored := make(map[trace.TraceID]int)
	process.Eventually(t, time.Minute, func() error {
		query := url.Values{"service": {"tail"}, "limit": {strconv.Itoa(tailRequests)}, "lookback": {"1h"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.Query+"/api/traces?"+query.Encode(), http.NoBody)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var found struct {
			Data []struct {
				TraceID string
				Spans   []struct{}
			}
		}
		if err := json.NewDecoder(res.Body).Decode(&found); err != nil {
			return err
		}
		total := 0
		clear(stored)
		for _, tr := range found.Data {
			id, err := trace.TraceIDFromHex(fmt.Sprintf("%032s", tr.TraceID))
			if err != nil {
				return err
			}
			stored[id] = len(tr.Spans)
			total += len(tr.Spans)
		}
		if total != spans {
			return fmt.Errorf("Jaeger has %d spans, want %d", total, spans)
		}
		return nil
	})
	return stored
}
