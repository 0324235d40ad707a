package tail

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Propagator returns base with one change: once the processor has a reason to keep a
// trace, the calls that the trace makes carry the sampled flag and no th. Services that
// follow the flag then keep their part of what is yet to come, such as retries and
// compensation. What they did before is lost.
//
// A reason is a span that meets the conditions of a policy without Probability and
// rate. It may be the span in the context of the call, a local root that has not ended,
// or any span of the fragment that has ended. A span that has not ended may still
// change, and with it the decision: a status that is set to Ok is no longer an error.
// Set the result as the only propagator that injects:
//
//	otel.SetTextMapPropagator(processor.Propagator(propagator.New()))
func (p *Processor) Propagator(base propagation.TextMapPropagator) propagation.TextMapPropagator {
	p.propagating.Store(true)
	return sampledPropagator{base, p}
}

type sampledPropagator struct {
	propagation.TextMapPropagator
	processor *Processor
}

func (p sampledPropagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	span := trace.SpanFromContext(ctx)
	if sc := span.SpanContext(); sc.IsValid() && !sc.IsSampled() && p.processor.wants(sc.TraceID(), span) {
		sc = withoutThreshold(sc).WithTraceFlags(sc.TraceFlags() | trace.FlagsSampled)
		ctx = trace.ContextWithSpanContext(ctx, sc)
	}
	p.TextMapPropagator.Inject(ctx, carrier)
}

// wants reports whether there is a reason to keep the trace.
func (p *Processor) wants(id trace.TraceID, current trace.Span) bool {
	if p.isReason(current) {
		return true
	}
	var few [4]openRoot
	sh, hash := p.shard(id)
	sh.mu.Lock()
	d, _ := sh.decisions.get(hash)
	wanted, open := d.keep && p.policies.list[d.policy].certain(), few[:0]
	if f := sh.fragments.get(hash); f != nil {
		wanted, open = f.wanted, append(open, f.open...)
	}
	sh.mu.Unlock()
	if wanted {
		return true
	}
	for i := range open {
		if p.isReason(open[i].span) {
			return true
		}
	}
	return false
}

// isReason reports whether a span that has not ended is enough to keep its trace.
func (p *Processor) isReason(span any) bool {
	s, ok := span.(sdktrace.ReadOnlySpan)
	if !ok {
		return false
	}
	looked := endedSpan{ReadOnlySpan: s, root: isLocalRoot(s)}
	p.policies.inspect(&looked)
	return p.policies.certain(&looked)
}
