package tail

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Propagator returns base with one change: the calls that a trace makes after
// the processor has a reason to keep it carry the sampled flag, and no th. So
// services that follow the flag keep their part of what is yet to come, such as
// retries and compensation; what they did before is lost.
//
// A reason is a policy without Probability or rate that holds for one span on
// its own: the span in the context of the call, an unfinished local root, or
// any span of the fragment that has ended. Such a span may yet change, and so
// may the decision: a status set to Ok is no longer an error. Set it as the
// only propagator that injects:
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

// isReason reports whether a span that has not ended is reason enough to keep
// its trace.
func (p *Processor) isReason(span any) bool {
	s, ok := span.(sdktrace.ReadOnlySpan)
	if !ok {
		return false
	}
	looked := endedSpan{ReadOnlySpan: s, root: isLocalRoot(s)}
	p.policies.inspect(&looked)
	return p.policies.certain(&looked)
}
