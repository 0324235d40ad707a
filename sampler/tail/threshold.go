package tail

import (
	"context"
	"encoding/binary"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// consistent keeps a share of traces, by the same decision as a head sampler
// of that share, which it asks: the rules for rv, th and the ot member of
// tracestate have their one place there.
type consistent struct {
	threshold sampler.Threshold
	sampler   sdktrace.Sampler
}

func newConsistent(ratio float64) *consistent {
	t := sampler.ThresholdFor(ratio)
	return &consistent{t, sampler.New(fixedThreshold{t}, withoutMetrics)}
}

// removeThreshold never keeps anything and therefore removes th.
var removeThreshold = sampler.New(fixedThreshold{}, withoutMetrics)

// withoutMetrics: what is asked here is no span that a sampler decides about.
var withoutMetrics = sampler.WithMeterProvider(noop.NewMeterProvider())

// fixedThreshold intends one threshold. sampler.Probability does, too, but warns of
// parents without the random flag, and the SDK sets that for no span.
type fixedThreshold struct{ threshold sampler.Threshold }

func (f fixedThreshold) SamplingIntent(sampler.Parameters) sampler.Intent {
	return sampler.Intent{Threshold: f.threshold, Reliable: true}
}

func (f fixedThreshold) Description() string { return "tail{" + f.threshold.String() + "}" }

func (c *consistent) share() float64 { return c.threshold.Probability() }

// keeps reports whether the trace that the span context belongs to is kept.
func (c *consistent) keeps(sc trace.SpanContext) bool {
	if ts := sc.TraceState(); ts.Len() == 0 { // no rv: most traces
		id := sc.TraceID()
		return c.threshold.Keeps(binary.BigEndian.Uint64(id[8:]) & (1<<56 - 1))
	}
	return c.sampler.ShouldSample(childOf(sc)).Decision == sdktrace.RecordAndSample
}

// publish returns sc with the threshold as th, if that tells of more spans
// than the th that is there: of two samplers that decide by the same
// randomness, the one that keeps more prevails.
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
