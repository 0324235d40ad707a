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
	"strconv"
	"sync"
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
func TestTailKeepsWhatMatters(t *testing.T) {
	server := jaeger.Start(t, jaeger.Config{})
	service, provider, processor := tailService(t, server.OTLP)

	// The same trace ids each time, so that the share is the same each time.
	rnd := rand.New(rand.NewPCG(11, 12))
	var failed, slow, rest []trace.TraceID
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
	for range tailRequests {
		var id trace.TraceID
		binary.BigEndian.PutUint64(id[:], rnd.Uint64())
		binary.BigEndian.PutUint64(id[8:], rnd.Uint64())
		path := "/"
		switch rnd.IntN(100) {
		case 0:
			path, failed = "/failed", append(failed, id)
		case 1:
			path, slow = "/slow", append(slow, id)
		default:
			rest = append(rest, id)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Traceparent", fmt.Sprintf("00-%s-%016x-02", id, rnd.Uint64()|1))
		requests <- req
	}
	close(requests)
	clients.Wait()
	if err := provider.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}

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

// tailService runs a service and returns its base URL.
func tailService(t *testing.T, collector string) (string, *sdktrace.TracerProvider, *tail.Processor) {
	t.Helper()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(collector+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	batch := sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithMaxQueueSize(tailRequests*tailSpans))
	processor, err := tail.NewProcessor(batch, tail.Config{Policies: []tail.Policy{
		{Span: tail.Condition{Error: true}},
		{Root: tail.Condition{SlowerThan: tailSlow}},
		{Probability: tailShare},
	}})
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(tail.Record(sdktrace.NeverSample())),
		sdktrace.WithSpanProcessor(processor),
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName("tail"))))
	t.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
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
	return service.URL, provider, processor
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
