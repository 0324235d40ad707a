// Package trust decides whose trace context a service believes, and who gets to
// see its own.
//
// A caller that is believed chooses the trace id, whether the trace is sampled,
// and the baggage that every service behind receives. So a service that the
// internet reaches puts [Handler] around its instrumentation, and a service that
// calls third parties puts [Transport] under it:
//
//	handler := trust.Handler(otelhttp.NewHandler(mux, "server"), trust.Networks(private...))
//	client := &http.Client{Transport: otelhttp.NewTransport(trust.Transport(nil, hosts))}
//
// For messages and other input that does not come by net/http, [Untrusted] marks
// the context into which it is extracted. A global propagator that is composed of
// several is wrapped in [Propagator], so that all of them obey:
//
//	otel.SetTextMapPropagator(trust.Propagator(propagation.NewCompositeTextMapPropagator(
//		propagator.New(), propagation.Baggage{})))
package trust

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/boundary"
)

// Untrusted marks ctx as the context of input that is not trusted. Extract into
// it, or into a context derived from it, restarts the trace: no parent, no
// tracestate and no baggage come out of the carrier. The span context that was
// found is kept for a link, see [Caller] and [Link].
//
// Propagators of package propagator and of [Propagator] obey the mark. Others
// that are composed with them do not, unless the composition is wrapped in
// Propagator. For net/http, [Handler] sets the mark.
func Untrusted(ctx context.Context) context.Context {
	return boundary.Untrusted(ctx, trace.SpanContext{})
}

// Caller returns the span context that came with untrusted input. It is invalid
// if none came, or if the input was trusted.
func Caller(ctx context.Context) trace.SpanContext {
	mark, _ := boundary.From(ctx)
	return mark.Caller()
}

// Link links span to the caller that was not trusted to be its parent. Without
// such a caller it does nothing.
//
// Only one span gets the link: the first one that records of all for which Link
// is called after one Extract. So it can be called by whoever starts the first
// span, or by a span processor, in OnStart, for every span without a local
// parent.
func Link(ctx context.Context, span trace.Span) {
	if mark, ok := boundary.From(ctx); ok && span != nil {
		mark.Link(span)
	}
}

// Propagator returns p, except that its Extract obeys [Untrusted] and its Inject
// sends nothing below a [Transport] that withholds the trace context, whatever p
// is composed of. A nil p does nothing.
func Propagator(p propagation.TextMapPropagator) propagation.TextMapPropagator {
	if p == nil {
		p = propagation.NewCompositeTextMapPropagator()
	}
	return boundary.Propagator{TextMapPropagator: p}
}
