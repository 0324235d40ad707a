package otelsetup

import (
	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/contrib/propagators/ot"
	"go.opentelemetry.io/otel/propagation"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

const (
	none = "none"
	// autoprop is the name that package propagator/autoprop registers, where
	// tracecontext is taken.
	autoprop = "clew"
)

func init() {
	RegisterPropagator("tracecontext", propagator.New())
	RegisterPropagator(autoprop, propagator.New())
	RegisterPropagator("baggage", propagation.Baggage{})
	RegisterPropagator("b3", b3.New())
	RegisterPropagator("b3multi", b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader)))
	RegisterPropagator("jaeger", jaeger.Jaeger{})
	RegisterPropagator("xray", xray.Propagator{})
	RegisterPropagator("ottrace", ot.OT{})
}

// propagator reads OTEL_PROPAGATORS.
func (e *Env) propagator(customize []func(propagation.TextMapPropagator) propagation.TextMapPropagator) propagation.TextMapPropagator {
	var chosen []propagation.TextMapPropagator
	accepted := append(propagators.names(), none)
	for _, name := range e.List("OTEL_PROPAGATORS", []string{"tracecontext", "baggage"}, accepted, nil) {
		if p, ok := propagators.get(name); ok {
			chosen = append(chosen, p)
		}
	}
	all := propagation.NewCompositeTextMapPropagator(chosen...)
	return trust.Propagator(customized(all, customize))
}
