// Package propagator carries W3C Trace Context Level 2 for OpenTelemetry:
//
//	otel.SetTextMapPropagator(propagator.New())
//
// It takes the place of [propagation.TraceContext]. Where that one follows
// the Recommendation both read and write the same; docs/propagation.md lists
// where they differ, each with the rule.
package propagator

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// Names of the two header fields as the Recommendation writes them, and as
// [net/http.Header] does.
const (
	traceparentName   = "traceparent"
	tracestateName    = "tracestate"
	traceparentHeader = "Traceparent"
	tracestateHeader  = "Tracestate"
)

type traceContext struct {
	maxTracestate int
	lowerCase     bool
}

// New returns a propagator for the traceparent and tracestate of W3C Trace
// Context Level 2. It is safe for concurrent use.
//
// Extract returns ctx itself if the carrier holds no valid traceparent, or
// more than one: then whatever comes next starts a new trace.
//
// Members of the received tracestate that [trace.TraceState] cannot hold are
// kept beside the SpanContext, and Inject sends them too as long as the context
// continues the trace that was received.
func New(opts ...Option) propagation.TextMapPropagator {
	p := &traceContext{maxTracestate: maxTracestateLen}
	for _, o := range opts {
		o.apply(p)
	}
	return p
}

// Fields returns the names of the fields that Inject sets.
func (*traceContext) Fields() []string {
	return []string{traceparentName, tracestateName}
}

// Extract returns ctx with the span context in carrier as the remote parent.
func (*traceContext) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	received, ok := read(carrier)
	if !ok {
		return ctx
	}
	return contextWithRemote(ctx, received)
}

// Inject writes the span context in ctx to carrier.
func (p *traceContext) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return
	}
	write(carrier, traceparentOf(sc), p.tracestate(ctx, sc), p.lowerCase)
}

func traceparentOf(sc trace.SpanContext) tracecontext.Traceparent {
	return tracecontext.TraceparentFrom(sc.TraceID(), sc.SpanID(), tracecontext.Flags(sc.TraceFlags()))
}

// tracestate returns what is sent for sc, which is current in ctx.
func (p *traceContext) tracestate(ctx context.Context, sc trace.SpanContext) string {
	text := ""
	if r, ok := ctx.Value(remoteKey{}).(*remoteContext); ok && r.state != nil && continues(sc, r.span.sc) {
		text = merge(sc.TraceState(), r.state)
	} else {
		text = sc.TraceState().String()
	}
	if len(text) <= p.maxTracestate {
		return text
	}
	ts, _ := tracecontext.ParseTracestate(text)
	return ts.Truncate(p.maxTracestate).String()
}
