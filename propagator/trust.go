package propagator

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// boundary marks a context into which untrusted input is extracted.
type boundary struct {
	caller trace.SpanContext // what the input said; a link at most
	linked *atomic.Bool      // whether a span has the link
}

type boundaryKey struct{}

func boundaryOf(ctx context.Context) (boundary, bool) {
	b, ok := ctx.Value(boundaryKey{}).(boundary)
	return b, ok
}

// ContextWithUntrusted marks ctx as the context of input that is not trusted.
// Extract into it, or into one derived from it, restarts the trace: no parent,
// no tracestate and no baggage come out of the carrier. The span context that
// was found is kept for a link only, see [LinkCaller].
//
// Propagators of [New] and [Guard] honour the mark. Of others that are composed
// with them, wrap the composition in Guard:
//
//	otel.SetTextMapPropagator(propagator.Guard(propagation.NewCompositeTextMapPropagator(
//		propagator.New(), propagation.Baggage{})))
//
// For net/http, [Boundary] sets the mark.
func ContextWithUntrusted(ctx context.Context) context.Context {
	return contextWithCaller(ctx, trace.SpanContext{})
}

func contextWithCaller(ctx context.Context, caller trace.SpanContext) context.Context {
	return context.WithValue(ctx, boundaryKey{}, boundary{caller: caller, linked: new(atomic.Bool)})
}

// restart returns ctx with the caller for a link, unless it has one already.
func (b boundary) restart(ctx context.Context, caller trace.SpanContext) context.Context {
	if b.caller.IsValid() || !caller.IsValid() {
		return ctx
	}
	return contextWithCaller(ctx, caller)
}

// Caller returns the span context that came with untrusted input. It is invalid
// if there was none, or if the input was trusted.
func Caller(ctx context.Context) trace.SpanContext {
	b, _ := boundaryOf(ctx)
	return b.caller
}

// LinkCaller links span to the caller that was not trusted to be its parent.
// Of all calls for one Extract the first with a span that records adds the link,
// so that one span has it; without a caller nothing happens. It is meant to be called by
// whoever starts the first span, or for every local root span by the OnStart of
// a span processor.
func LinkCaller(ctx context.Context, span trace.Span) {
	if b, ok := boundaryOf(ctx); ok && b.caller.IsValid() && span.IsRecording() && b.linked.CompareAndSwap(false, true) {
		span.AddLink(trace.Link{SpanContext: b.caller})
	}
}

// Guard returns p, except that its Extract honours [ContextWithUntrusted] and
// its Inject [Outbound], whatever p is composed of.
func Guard(p propagation.TextMapPropagator) propagation.TextMapPropagator {
	return guard{p}
}

type guard struct{ propagation.TextMapPropagator }

func (g guard) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if ctx.Value(withheldKey{}) == nil {
		g.TextMapPropagator.Inject(ctx, carrier)
	}
}

func (g guard) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	b, untrusted := boundaryOf(ctx)
	if !untrusted {
		return g.TextMapPropagator.Extract(ctx, carrier)
	}
	// The result is dropped, and with it all but the caller's span context.
	apart := g.TextMapPropagator.Extract(context.Background(), carrier)
	return b.restart(ctx, trace.SpanContextFromContext(apart))
}
