// Package boundary holds what a context says about a trust boundary, and what
// has to be done there. Package propagator/trust sets the marks; package
// propagator, which trust builds on, obeys them.
package boundary

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Mark says that what is extracted into a context is not trusted.
type Mark struct {
	caller trace.SpanContext // what the input said; of use for a link only
	linked *atomic.Bool      // whether a span has that link
}

type markKey struct{}

// From returns the mark of ctx, false if it has none.
func From(ctx context.Context) (Mark, bool) {
	if ctx == nil {
		return Mark{}, false
	}
	m, ok := ctx.Value(markKey{}).(Mark)
	return m, ok
}

// Untrusted returns ctx with a mark that has the caller, which may be invalid.
func Untrusted(ctx context.Context, caller trace.SpanContext) context.Context {
	return context.WithValue(ctx, markKey{}, Mark{caller: caller, linked: new(atomic.Bool)})
}

// Restart returns the context in which a trace begins after the caller was found
// in untrusted input. ctx is the context of m. If m has a caller already, that
// one stays.
func (m Mark) Restart(ctx context.Context, caller trace.SpanContext) context.Context {
	if m.caller.IsValid() || !caller.IsValid() {
		return ctx
	}
	return Untrusted(ctx, caller)
}

// Caller returns the span context that came with untrusted input, an invalid
// one if none came.
func (m Mark) Caller() trace.SpanContext { return m.caller }

// Link adds a link to the caller to the first span that records of all that it
// is called with.
func (m Mark) Link(span trace.Span) {
	if m.caller.IsValid() && span.IsRecording() && m.linked.CompareAndSwap(false, true) {
		span.AddLink(trace.Link{SpanContext: m.caller})
	}
}

type withheldKey struct{}

// Withhold marks the context of a request to a third party: [Propagator] injects
// nothing from it.
func Withhold(ctx context.Context) context.Context {
	return context.WithValue(ctx, withheldKey{}, true)
}

// Propagator obeys the marks of a context, whatever the propagator in it is
// composed of.
type Propagator struct{ propagation.TextMapPropagator }

// Inject does nothing in a context of [Withhold].
func (p Propagator) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if ctx.Value(withheldKey{}) == nil {
		p.TextMapPropagator.Inject(ctx, carrier)
	}
}

// Extract takes only the caller from the carrier if ctx is marked by [Untrusted].
func (p Propagator) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	mark, untrusted := From(ctx)
	if !untrusted {
		return p.TextMapPropagator.Extract(ctx, carrier)
	}
	// Everything else in the result, such as baggage, is dropped with it.
	apart := p.TextMapPropagator.Extract(context.Background(), carrier)
	return mark.Restart(ctx, trace.SpanContextFromContext(apart))
}
