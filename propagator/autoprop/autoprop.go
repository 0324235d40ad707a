// Package autoprop makes "clew" a value of OTEL_PROPAGATORS for programs whose
// propagator comes from [go.opentelemetry.io/contrib/propagators/autoprop], such
// as those that are instrumented at compile time:
//
//	import _ "github.com/clewtrace/clew/propagator/autoprop"
//
//	OTEL_PROPAGATORS=clew,baggage
//
// It is [propagator.New] in place of tracecontext, a name that autoprop has given
// away and does not let be registered again. Programs that call otelsetup.Start
// need no import: there tracecontext is this propagator, and clew another name
// of it.
package autoprop

import (
	"go.opentelemetry.io/contrib/propagators/autoprop"

	"github.com/clewtrace/clew/propagator"
)

// Name is the value of OTEL_PROPAGATORS.
const Name = "clew"

func init() { autoprop.RegisterTextMapPropagator(Name, propagator.New()) }
