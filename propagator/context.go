package propagator

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// remoteContext is a context whose current span is the remote parent: what
// [trace.ContextWithRemoteSpanContext] returns, in one object instead of two.
type remoteContext struct {
	context.Context
	span remoteSpan
}

// remoteSpan records nothing and is the parent of the next span.
type remoteSpan struct {
	*noop.Span // &noopSpan; a pointer is smaller than the value
	sc         trace.SpanContext
	// state is set if it can be of use to Inject: if sc does not hold the
	// whole tracestate, or if its text is at hand.
	state *received
}

// SpanContext returns the remote span context.
func (s *remoteSpan) SpanContext() trace.SpanContext { return s.sc }

// TracerProvider returns what package trace returns for a remote parent: the
// provider of zero-code instrumentation if that is attached to the process, or
// one that starts no spans but hands on this one.
func (*remoteSpan) TracerProvider() trace.TracerProvider {
	tp := trace.SpanFromContext(context.Background()).TracerProvider()
	if tp == trace.NewNoopTracerProvider() { //nolint:staticcheck // it knows no spans but its own, so it must not be handed out
		return noop.NewTracerProvider()
	}
	return tp
}

var noopSpan noop.Span

// remoteKey finds the remoteSpan that a context descends from.
type remoteKey struct{}

// spanKey is the key under which package trace keeps the current span. It is
// not exported; asking a context for its span tells it. Should a later version
// keep spans in another way, it is nil.
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

// Value returns the remote span to package trace and to Inject, and asks the
// parent for all else.
func (c *remoteContext) Value(key any) any {
	switch key {
	case spanKey:
		return &c.span
	case remoteKey{}:
		return &c.span
	}
	return c.Context.Value(key)
}

func (c *remoteContext) String() string {
	return fmt.Sprintf("%v.WithRemoteSpan(%s)", c.Context, traceparentOf(c.span.sc))
}

// continues reports whether sc is s or a span that followed it on this side.
// Another remote parent in the same trace comes with a tracestate of its own.
func (s *remoteSpan) continues(sc trace.SpanContext) bool {
	return sc.TraceID() == s.sc.TraceID() && (!sc.IsRemote() || sc.SpanID() == s.sc.SpanID())
}
