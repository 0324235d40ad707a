package stack_test

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/e2e/internal/shop"
)

var results = flag.String("results", "", "write what the Collectors can do to this `file`")

// TestCollectorSizes measures what a span costs a Collector: processor time in
// either tier, and memory while it waits for the decision. It runs on request:
//
//	go test -run CollectorSizes . -args -results RESULTS.md
func TestCollectorSizes(t *testing.T) {
	if *results == "" {
		t.Skip("measures for minutes; asked for by -args -results RESULTS.md")
	}
	var out strings.Builder
	fmt.Fprint(&out, `# What a span costs a Collector

Spans of a shop, 20 in a trace, one trace in ten with an error, 100 traces in a request, 100,000 spans as fast as they are taken. Processor
time and memory are the process's own, its start included, as the kernel counts them. Medians of three runs; on shared cores the ratios hold
better than the figures.

| configuration | spans per second and core | most memory |
|---|---|---|
`)
	var balancers, gateways, tails []usage
	for range 3 {
		b, g := measureTiers(t)
		balancers, gateways = append(balancers, b), append(gateways, g)
		tails = append(tails, measureTail(t, 100_000))
	}
	for _, row := range []struct {
		name string
		runs []usage
	}{{"balancer.yaml", balancers}, {"gateway.yaml", gateways}, {"tail.yaml", tails}} {
		u := median(row.runs)
		fmt.Fprintf(&out, "| collector/%s | %d | %d MB |\n", row.name, int(float64(u.spans)/u.processor.Seconds()), u.memory>>20)
	}
	few := measureTail(t, 10_000, hold)
	many := measureTail(t, 100_000, hold)
	perSpan := float64(many.memory-few.memory) / float64(many.spans-few.spans)
	fmt.Fprintf(&out, "\nA span that waits for its decision takes %.1f kB (most memory with %d of them, less that with %d): %.0f thousand a GB.\n",
		perSpan/1000, many.spans, few.spans, 1e9/perSpan/1e3)
	t.Log("\n" + out.String())
	if err := os.WriteFile(*results, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hold makes a Collector decide about nothing before it ends.
const hold = "--set=processors::tail_sampling::decision_wait=10m"

type usage struct {
	spans     int
	processor time.Duration
	memory    int64
}

func median(runs []usage) usage {
	for i := range runs {
		for j := range i {
			if runs[i].processor < runs[j].processor {
				runs[i], runs[j] = runs[j], runs[i]
			}
		}
	}
	return runs[len(runs)/2]
}

// sink takes everything and keeps nothing.
func sink(t *testing.T) stores {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(s.Close)
	return stores{prometheus: s.URL, loki: s.URL, jaeger: &jaeger.Server{OTLP: s.URL}}
}

func measureTail(t *testing.T, spans int, args ...string) usage {
	t.Helper()
	c := startCollector(t, "tail.yaml", args, sink(t).behind()...)
	sent := flood(t, c.http, spans)
	time.Sleep(4 * time.Second) // what was sent is decided
	return end(t, sent, c.Process)
}

func measureTiers(t *testing.T) (balancer, gateway usage) {
	t.Helper()
	s := startTiers(t, sink(t))
	sent := flood(t, s.balancer.http, 100_000)
	time.Sleep(4 * time.Second)
	balancer = end(t, sent, s.balancer.Process)
	for _, g := range s.gateways {
		u := end(t, sent/2, g)
		gateway.spans += u.spans
		gateway.processor += u.processor
		gateway.memory = max(gateway.memory, u.memory)
	}
	return balancer, gateway
}

func end(t *testing.T, spans int, p *process.Process) usage {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	p.Wait(t, time.Minute)
	processor, memory := p.Usage()
	return usage{spans, processor, memory}
}

// flood sends about as many spans as told, and returns their number.
func flood(t *testing.T, addr string, spans int) (sent int) {
	t.Helper()
	var pending sync.WaitGroup
	defer pending.Wait()
	slots := make(chan struct{}, 4)
	for seed := uint64(0); sent < spans; {
		var batch []*tracepb.ResourceSpans
		for range 100 {
			trace := shop.Checkout(seed, time.Now().Add(-time.Second), seed%10 == 0)
			batch = append(batch, trace.Traces.ResourceSpans...)
			seed++
		}
		sent += len(batch)
		slots <- struct{}{}
		pending.Go(func() {
			post(t, addr, batch)
			<-slots
		})
	}
	return sent
}
