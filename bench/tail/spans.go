package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler/tail"
)

// noop is the processor to compare with.
type noop struct{}

func (noop) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (noop) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (noop) ForceFlush(context.Context) error                { return nil }
func (noop) Shutdown(context.Context) error                  { return nil }

// dropping returns a processor whose policies drop what spansOf makes.
func dropping() (*tail.Processor, error) {
	return tail.NewProcessor(noop{}, tail.Config{Policies: []tail.Policy{
		{Span: tail.Condition{Error: true}},
		{Root: tail.Condition{SlowerThan: 1 << 40}},
		{Probability: 1e-12},
	}})
}

// learning has the quantile besides, which keeps 1%.
func learning() (*tail.Processor, error) {
	return tail.NewProcessor(noop{}, tail.Config{})
}

var attributes = []attribute.KeyValue{
	attribute.String("http.request.method", "GET"),
	attribute.String("http.route", "/orders/{id}"),
	attribute.Int("http.response.status_code", 200),
	attribute.String("server.address", "orders.example"),
}

// spansOf makes one trace with the given number of spans, each with four attributes.
func spansOf(tracer trace.Tracer, n int) {
	ctx, root := tracer.Start(context.Background(), "GET /orders/{id}", trace.WithAttributes(attributes...))
	for range n - 1 {
		_, child := tracer.Start(ctx, "query", trace.WithAttributes(attributes...))
		child.End()
	}
	root.End()
}

type variant struct {
	name      string
	processor sdktrace.SpanProcessor
	tracer    trace.Tracer
	provider  *sdktrace.TracerProvider
}

func variants() ([]variant, error) {
	drop, err := dropping()
	if err != nil {
		return nil, err
	}
	learn, err := learning()
	if err != nil {
		return nil, err
	}
	list := []variant{
		{name: "recorded, no-op processor", processor: noop{}},
		{name: "tail: errors, slow, probability; dropped", processor: drop},
		{name: "tail: errors, slower than own p99", processor: learn},
	}
	for i := range list {
		list[i].provider = sdktrace.NewTracerProvider(
			sdktrace.WithSampler(tail.Record(sdktrace.NeverSample())), sdktrace.WithSpanProcessor(list[i].processor))
		list[i].tracer = list[i].provider.Tracer("bench")
		for range 20_000 { // fill the memory of decisions
			spansOf(list[i].tracer, 1)
		}
	}
	return list, nil
}

func shutdown(list []variant) {
	for _, v := range list {
		_ = v.provider.Shutdown(context.Background())
	}
}

func reportSpans(w io.Writer, rounds int) error {
	list, err := variants()
	if err != nil {
		return err
	}
	defer shutdown(list)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // idle ones help to collect garbage, more or less
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	const required = 1.3
	fmt.Fprintf(w, "## One span\n\nStart to end, one goroutine, four attributes. Required: a ratio of at most %.2f.\n\n"+
		"| spans per trace | variant | ns of processor time per span | allocations per span | ratio | required |\n|---|---|---|---|---|---|\n", required)
	for _, size := range []int{1, 4, 16} {
		// In turns of a few milliseconds: who else uses the machine changes slowly.
		const spans, turns = 2_000, 20
		results := make([][]sample, len(list))
		for range rounds {
			round := make([]sample, len(list))
			for range turns {
				for i, v := range list {
					round[i].add(measure(spans, func() {
						for range spans / size {
							spansOf(v.tracer, size)
						}
					}), turns)
				}
			}
			for i := range list {
				results[i] = append(results[i], round[i])
			}
		}
		for i, v := range list {
			ratio := median(ratios(perOp(results[i]), perOp(results[0])))
			fmt.Fprintf(w, "| %d | %s | %d | %.2f | %.2f | %s |\n", size, v.name, median(perOp(results[i])).Nanoseconds(),
				results[i][rounds/2].allocs, ratio, verdict(i > 0, ratio <= required))
		}
	}
	return nil
}

func reportCores(w io.Writer, rounds int) error {
	list, err := variants()
	if err != nil {
		return err
	}
	defer shutdown(list)
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	fmt.Fprint(w, "\n## Two cores beside one\n\nTraces of four spans, from one goroutine and from two. "+
		"The first row is what the machine and the SDK can do. Processor time per span is what does not depend on who else uses the machine: "+
		"at 1.00 two free cores do twice the work of one. Required: that this allows at least 1.70 times the throughput.\n\n"+
		"| variant | throughput of 2 / of 1 | processor time per span on 2 / on 1 | throughput that allows | required |\n|---|---|---|---|---|\n")
	for i, v := range list {
		const traces = 20_000
		var gain, cost []float64
		for range rounds {
			var took [2]sample
			for i := range took {
				cores := i + 1
				previous := runtime.GOMAXPROCS(cores)
				runtime.GC()
				took[i] = measure(traces*cores, func() {
					var wg sync.WaitGroup
					for range cores {
						wg.Go(func() {
							for range traces {
								spansOf(v.tracer, 4)
							}
						})
					}
					wg.Wait()
				})
				runtime.GOMAXPROCS(previous)
			}
			gain = append(gain, float64(took[0].wall)/float64(took[1].wall))
			cost = append(cost, float64(took[1].perOp)/float64(took[0].perOp))
		}
		allows := 2 / median(cost)
		fmt.Fprintf(w, "| %s | %.2f | %.2f | %.2f | %s |\n", v.name, median(gain), median(cost), allows, verdict(i > 0, allows >= 1.7))
	}
	return nil
}

func verdict(applies, met bool) string {
	switch {
	case !applies:
		return ""
	case met:
		return "met"
	}
	return "**not met**"
}
