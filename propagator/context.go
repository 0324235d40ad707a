package propagator

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clewtrace/clew/tracecontext"
)

// remoteContext is a context whose current span is the remote parent. It is
// what [trace.ContextWithRemoteSpanContext] makes out of two objects, in one.
type remoteContext struct {
	context.Context
	span  remoteSpan
	state *received // nil if the SpanContext holds the whole tracestate
}

// received is a tracestate of which trace.TraceState holds a part only.
type received struct {
	all  tracecontext.Tracestate
	held trace.TraceState // the members of all that it can hold, in order
}

// remoteKey finds the remoteContext nearest to a context.
type remoteKey struct{}

// spanKey is the key under which package trace looks for the current span. It
// has no exported name, so it is learnt from a look-up.
var spanKey = func() any {
	var p keyProbe
	trace.SpanFromContext(&p)
	return p.key
}()

type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}

func (c *remoteContext) Value(key any) any {
	switch key {
	case spanKey:
		return &c.span
	case remoteKey{}:
		return c
	}
	return c.Context.Value(key)
}

func (c *remoteContext) String() string { return "propagator.remoteContext" }

// remoteSpan is a span that records nothing and is the parent of the next.
type remoteSpan struct {
	noop.Span
	sc trace.SpanContext
}

func (s *remoteSpan) SpanContext() trace.SpanContext { return s.sc }

func contextWithRemote(ctx context.Context, m message) context.Context {
	return &remoteContext{
		Context: ctx,
		span: remoteSpan{sc: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID:    m.parent.TraceID(),
			SpanID:     m.parent.ParentID(),
			TraceFlags: trace.TraceFlags(m.parent.Flags()),
			TraceState: m.held,
			Remote:     true,
		})},
		state: m.state,
	}
}

// continues reports whether sc is what was received, or a span in its trace on
// this side. Another remote parent in the same trace has its own tracestate.
func continues(sc, remote trace.SpanContext) bool {
	return sc.TraceID() == remote.TraceID() && (!sc.IsRemote() || sc.SpanID() == remote.SpanID())
}
