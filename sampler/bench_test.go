package sampler_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// A workload is a sampler with the spans to ask it about.
type workload struct {
	name    string
	sampler sdktrace.Sampler
	spans   []sdktrace.SamplingParameters
}

func (w *workload) run(calls int) {
	for i := range calls {
		w.sampler.ShouldSample(w.spans[i%len(w.spans)])
	}
}

// rootSpans returns server spans of one operation without a parent.
func rootSpans() []sdktrace.SamplingParameters {
	rnd := rand.New(rand.NewPCG(1, 1))
	spans := make([]sdktrace.SamplingParameters, 1024)
	for i := range spans {
		spans[i] = root(rnd, "GET /users/{id}")
		spans[i].Kind = trace.SpanKindServer
		spans[i].Attributes = []attribute.KeyValue{
			attribute.String("http.request.method", "GET"),
			attribute.String("url.path", "/users/17"),
			attribute.String("http.route", "/users/{id}"),
		}
	}
	return spans
}

func childSpans(tb testing.TB, flags trace.TraceFlags, tracestate string) []sdktrace.SamplingParameters {
	tb.Helper()
	spans := rootSpans()
	for i := range spans {
		p := parent{flags, true, tracestate, 0xff<<48 | uint64(i)}
		spans[i].ParentContext, spans[i].TraceID = p.context(tb), traceID(p.randomness)
	}
	return spans
}

func stock() sdktrace.Sampler { return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.1)) }

func ours(policy sampler.Composable) sdktrace.Sampler {
	return sampler.New(sampler.ParentThreshold(policy), sampler.WithMeterProvider(noop.NewMeterProvider()))
}

// tenRules is a set of which only the last rule matches.
func tenRules() sampler.Composable {
	var rules []sampler.Rule
	for i := range 9 {
		match := sampler.Match{Name: "GET /other/" + strconv.Itoa(i)}
		switch i % 3 {
		case 1:
			match = sampler.Match{Name: "POST *"}
		case 2:
			match = sampler.Match{Attributes: map[attribute.Key]string{"url.path": "/other/" + strconv.Itoa(i) + "*"}}
		}
		rules = append(rules, sampler.Rule{Match: match})
	}
	return sampler.Rules(append(rules, sampler.Rule{Sampler: sampler.Probability(0.1)})...)
}

func adaptive(tb testing.TB, cfg sampler.AdaptiveConfig) *sampler.Adaptive {
	tb.Helper()
	cfg.MeterProvider = noop.NewMeterProvider()
	a, err := sampler.NewAdaptive(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// pairs are workloads, each after the stock one that it is compared with.
func pairs(tb testing.TB) [][2]workload {
	tb.Helper()
	roots := rootSpans()
	kept, dropped := childSpans(tb, trace.FlagsSampled, "ot=th:e666"), childSpans(tb, 0, "")
	probability := ours(sampler.Probability(0.1))
	return [][2]workload{
		{{"", stock(), roots}, {"ParentThreshold(Probability), root", probability, roots}},
		{{"", stock(), kept}, {"ParentThreshold(Probability), kept child", probability, kept}},
		{{"", stock(), dropped}, {"ParentThreshold(Probability), dropped child", probability, dropped}},
		{{"", stock(), roots}, {"Rules, 10 of which the last matches", ours(tenRules()), roots}},
		{{"", stock(), roots}, {"RateLimit, drops", ours(sampler.RateLimit(10)), roots}},
		{{"", stock(), roots}, {"Adaptive, drops", ours(adaptive(tb, sampler.AdaptiveConfig{TracesPerSecond: 10})), roots}},
	}
}

// BenchmarkCost prints the cost of ShouldSample as a multiple of the stock
// ParentBased(TraceIDRatioBased). Both run in turns of a tenth of a
// millisecond, and medians are compared.
func BenchmarkCost(b *testing.B) {
	const calls, turns = 1000, 2000
	for _, pair := range pairs(b) {
		b.Run(pair[1].name, func(b *testing.B) {
			var medians [2]time.Duration
			for b.Loop() {
				var took [2][]time.Duration
				for range turns {
					for i := range pair {
						start := time.Now()
						pair[i].run(calls)
						took[i] = append(took[i], time.Since(start))
					}
				}
				for i := range took {
					medians[i] = median(took[i])
				}
			}
			ratio := float64(medians[1]) / float64(medians[0])
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(medians[1])/calls, "ns/call")
			b.ReportMetric(ratio, "x-stock")
			costs[pair[1].name] = [2]float64{ratio}
		})
	}
}

// BenchmarkContention prints what a call costs when two goroutines ask about
// the same operation all the time, as a multiple of its cost for one. It
// compares processor time, which counts waiting for a cache line but not for a
// processor.
func BenchmarkContention(b *testing.B) {
	const calls, turns = 20_000, 200
	for _, pair := range pairs(b) {
		w := pair[1]
		b.Run(w.name, func(b *testing.B) {
			var ratio float64
			for b.Loop() {
				var serial, parallel []time.Duration
				for range turns {
					serial = append(serial, processorTime(b, func() { w.run(calls) }))
					parallel = append(parallel, processorTime(b, func() {
						var wg sync.WaitGroup
						for range 2 {
							wg.Go(func() { w.run(calls) })
						}
						wg.Wait()
					}))
				}
				ratio = float64(median(parallel)) / float64(2*median(serial))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ratio, "x-serial")
			costs[w.name] = [2]float64{costs[w.name][0], ratio}
		})
	}
	writeCosts(b)
}

// costs are the results of both benchmarks: multiples of stock and of serial.
var costs = make(map[string][2]float64)

// writeCosts writes the table in docs if both benchmarks ran with -update.
func writeCosts(b *testing.B) {
	b.Helper()
	var table strings.Builder
	table.WriteString("| policy | cost / stock | two goroutines / one |\n|---|---|---|\n")
	for _, pair := range pairs(b) {
		name := pair[1].name
		cost := costs[name]
		if !*update || cost[0] == 0 || cost[1] == 0 {
			return
		}
		fmt.Fprintf(&table, "| %s | %.2f | %.2f |\n", name, cost[0], cost[1])
	}
	replaceInDocs(b, "cost", fmt.Sprintf("%s\n%d processors, %s.\n", table.String(), runtime.NumCPU(), runtime.Version()))
}

func processorTime(b *testing.B, f func()) time.Duration {
	b.Helper()
	before, ok := sampler.ProcessorTime()
	if !ok {
		b.Skip("this system does not tell the processor time of a process")
	}
	f()
	after, _ := sampler.ProcessorTime()
	return after - before
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops values under the race detector")
	}
	for _, pair := range pairs(t) {
		w := pair[1]
		w.run(10_000) // published thresholds are made once
		if n := testing.AllocsPerRun(10, func() { w.run(1000) }); n != 0 {
			t.Errorf("%s: %v allocations per 1,000 calls, want none", w.name, n)
		}
	}
}

// The new tracestate consists of the text of ot and the list of members.
func TestAKeepAllocatesTheTracestateOnly(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops values under the race detector")
	}
	s := ours(sampler.AlwaysOn())
	for state, want := range map[string]float64{"": 0, "vendor=1": 2, "ot=k:v": 2} {
		state, err := trace.ParseTraceState(state)
		if err != nil {
			t.Fatal(err)
		}
		p := sdktrace.SamplingParameters{ParentContext: trace.ContextWithSpanContext(context.Background(),
			trace.NewSpanContext(trace.SpanContextConfig{TraceState: state}))}
		if n := testing.AllocsPerRun(100, func() { s.ShouldSample(p) }); n != want {
			t.Errorf("tracestate %q: %v allocations, want %v", state, n, want)
		}
	}
}
