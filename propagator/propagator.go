// Package propagator carries W3C Trace Context Level 2 for OpenTelemetry:
//
//	otel.SetTextMapPropagator(propagator.New())
//
// It takes the place of [propagation.TraceContext]. Where that one follows the
// Recommendation, both read and write the same. docs/propagation.md lists where
// they differ, each with the rule.
//
// The Recommendation is Trace Context Level 2, https://www.w3.org/TR/trace-context-2/.
// Comments cite its sections by their titles.
package propagator

import (
	"context"
	"math"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/boundary"
	"github.com/clewtrace/clew/internal/lowercase"
	"github.com/clewtrace/clew/tracecontext"
)

type traceContext struct {
	maxTracestate int
	seen          *cache
}

// New returns a propagator for the traceparent and tracestate of W3C Trace
// Context Level 2. It is safe for concurrent use.
//
// Extract returns ctx itself if the carrier has no valid traceparent, or more than
// one. The next span then starts a new trace, or continues the one that ctx is in.
//
// In an [net/http.Header], names are found in canonical and in lower-case spelling.
// Inject writes the canonical one and removes the other.
//
// [trace.TraceState] cannot hold all members that Level 2 allows. Extract keeps the
// others in the context, and Inject sends them too, as long as the context continues
// the trace that was received.
func New(opts ...Option) propagation.TextMapPropagator {
	p := &traceContext{maxTracestate: math.MaxInt, seen: newCache()}
	for _, o := range opts {
		o.apply(p)
	}
	return p
}

// Fields returns the names of the fields that Inject sets.
func (*traceContext) Fields() []string {
	return []string{traceparentName, tracestateName}
}

// Extract returns ctx with the span context that carrier holds as the remote parent.
func (p *traceContext) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	var f fields
	// A header without a traceparent is the most frequent case at the edge of a
	// system, so it is decided by two look-ups and nothing else.
	if h, ok := carrier.(propagation.HeaderCarrier); ok {
		parents := values(h, traceparentHeader, traceparentName, 1)
		if len(parents) != 1 {
			return ctx
		}
		f.parent = parents[0]
		if len(h) > 1 {
			f.setStates(values(h, tracestateHeader, tracestateName, 2))
		}
	} else {
		f.read(carrier)
	}
	if f.parent == "" {
		return ctx
	}
	parent, err := tracecontext.ParseTraceparent(trim(f.parent))
	if err != nil {
		return ctx
	}
	mark, untrusted := boundary.From(ctx)
	c := &remoteContext{Context: ctx, span: remoteSpan{Span: &noopSpan}}
	config := trace.SpanContextConfig{
		TraceID:    parent.TraceID(),
		SpanID:     parent.ParentID(),
		TraceFlags: trace.TraceFlags(parent.Flags()),
		Remote:     true,
	}
	switch {
	case f.states != nil:
		config.TraceState, c.span.state = parse(f.states...).split()
	case f.state != "":
		config.TraceState, c.span.state = p.seen.tracestate(f.state)
	}
	c.span.sc = trace.NewSpanContext(config)
	switch {
	case untrusted:
		return mark.Restart(ctx, c.span.sc)
	case spanKey == nil:
		return trace.ContextWithSpan(c, &c.span)
	}
	return c
}

// Inject writes the span context in ctx to carrier. If ctx has none, carrier stays as
// it is.
func (p *traceContext) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	span := trace.SpanFromContext(ctx)
	sc := span.SpanContext()
	parent := traceparentOf(sc)
	if !parent.IsValid() {
		return
	}
	remote, isCurrent := span.(*remoteSpan)
	if !isCurrent {
		remote, _ = ctx.Value(remoteKey{}).(*remoteSpan)
	}
	var state string
	switch {
	case isCurrent && remote.state != nil:
		state = remote.state.all.String()
	case remote != nil && remote.state != nil && remote.continues(sc):
		state = remote.state.merge(sc.TraceState())
	default:
		if ts := sc.TraceState(); ts.Len() > 0 {
			state = ts.String()
		}
	}
	if len(state) > p.maxTracestate {
		ts, _ := tracecontext.ParseTracestate(state)
		state = ts.Truncate(p.maxTracestate).String()
	}
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		writeHeader(c, parent, state)
	case lowercase.Carrier:
		writeLowerHeader(c, parent, state)
	default:
		write(carrier, parent, state)
	}
}

func traceparentOf(sc trace.SpanContext) tracecontext.Traceparent {
	return tracecontext.TraceparentFrom(sc.TraceID(), sc.SpanID(), tracecontext.Flags(sc.TraceFlags()))
}
