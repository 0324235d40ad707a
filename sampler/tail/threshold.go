package tail

import (
	"context"
	"encoding/binary"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// consistent keeps a share of traces. It asks a head sampler with the same share, so
// that both decide alike and the rules for rv, th and the ot member of tracestate are
// in one place.
type consistent struct {
	threshold sampler.Threshold
	sampler   sdktrace.Sampler
}

func newConsistent(ratio float64) *consistent {
	t := sampler.ThresholdFor(ratio)
	return &consistent{t, sampler.New(fixedThreshold{t}, withoutMetrics)}
}

// removeThreshold is a sampler that keeps nothing and therefore removes th.
var removeThreshold = sampler.New(fixedThreshold{}, withoutMetrics)

// withoutMetrics keeps these samplers out of the metrics, since they are asked about
// spans on which another sampler has decided.
var withoutMetrics = sampler.WithMeterProvider(noop.NewMeterProvider())

// fixedThreshold always intends the same threshold. sampler.Probability does so, too,
// but warns of parents without the random flag, which the SDK never sets.
type fixedThreshold struct{ threshold sampler.Threshold }

func (f fixedThreshold) SamplingIntent(sampler.Parameters) sampler.Intent {
	return sampler.Intent{Threshold: f.threshold, Reliable: true}
}

func (f fixedThreshold) Description() string { return "tail{" + f.threshold.String() + "}" }

func (c *consistent) share() float64 { return c.threshold.Probability() }

// keeps reports whether the trace that the span context belongs to is kept.
func (c *consistent) keeps(sc trace.SpanContext) bool {
	if ts := sc.TraceState(); ts.Len() == 0 { // most traces have no rv
		id := sc.TraceID()
		return c.threshold.Keeps(binary.BigEndian.Uint64(id[8:]) & (1<<56 - 1))
	}
	return c.sampler.ShouldSample(childOf(sc)).Decision == sdktrace.RecordAndSample
}

// publish returns sc with the threshold as th, unless sc has a th of a larger
// probability. Of two samplers that decide by the same randomness, the trace is kept by
// the one with the larger probability.
func (c *consistent) publish(sc trace.SpanContext) trace.SpanContext {
	p := sampler.NewParameters(childOf(sc))
	if sc.IsSampled() && p.ParentThreshold().Probability() >= c.share() {
		return sc
	}
	return sc.WithTraceState(c.sampler.ShouldSample(p.SamplingParameters).Tracestate)
}

// withoutThreshold returns sc without th.
func withoutThreshold(sc trace.SpanContext) trace.SpanContext {
	if ts := sc.TraceState(); ts.Len() == 0 {
		return sc
	}
	return sc.WithTraceState(removeThreshold.ShouldSample(childOf(sc)).Tracestate)
}

func childOf(sc trace.SpanContext) sdktrace.SamplingParameters {
	return sdktrace.SamplingParameters{
		ParentContext: trace.ContextWithSpanContext(context.Background(), sc),
		TraceID:       sc.TraceID(),
	}
}
