package propagator

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

// LowerCase returns p, except that its Inject writes "traceparent",
// "tracestate" and "baggage" to a [propagation.HeaderCarrier], whatever p is
// composed of: so the Recommendations ask of senders (section 3.2.1; Baggage,
// "Header Name"). Over HTTP/1.1 the names then go out like that; receivers exist
// that find no others. The header must be one that is sent:
// [net/http.Header.Get] does not find such names.
//
// Without it the names are in the canonical form of [net/http.Header], which is
// what HTTP/2 needs nothing for: there all names are lower-case.
func LowerCase(p propagation.TextMapPropagator) propagation.TextMapPropagator { return lowerCase{p} }

type lowerCase struct{ propagation.TextMapPropagator }

var lowerCaseFields = [...]struct{ canonical, lower string }{
	{traceparentHeader, traceparentName},
	{tracestateHeader, tracestateName},
	{"Baggage", "baggage"},
}

func (p lowerCase) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	p.TextMapPropagator.Inject(ctx, carrier)
	h, ok := carrier.(propagation.HeaderCarrier)
	if !ok {
		return
	}
	for _, field := range lowerCaseFields {
		if v, ok := h[field.canonical]; ok {
			delete(h, field.canonical)
			h[field.lower] = v
		}
	}
}
