package boundary

import (
	"maps"
	"strings"

	"go.opentelemetry.io/otel"
)

// WithoutContext returns a copy of header fields, or of another protocol's
// metadata, without those that carry trace context or baggage: those that the
// global propagator names, and those of the formats in common use.
func WithoutContext[H ~map[string][]string](h H) H {
	// Fields names what a propagator writes. Some propagators read more, which
	// is why the formats are listed as well.
	fields := otel.GetTextMapPropagator().Fields()
	h = maps.Clone(h)
	for name := range h {
		if carriesContext(name, fields) {
			delete(h, name)
		}
	}
	return h
}

func carriesContext(name string, fields []string) bool {
	name = strings.ToLower(name)
	switch name {
	case "traceparent", "tracestate", "baggage", // W3C
		"b3", "uber-trace-id", "jaeger-baggage", "x-amzn-trace-id", "x-cloud-trace-context", "grpc-trace-bin":
		return true
	}
	for _, prefix := range [...]string{"x-b3-", "uberctx-", "ot-tracer-", "ot-baggage-", "x-datadog-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, field := range fields {
		if strings.EqualFold(name, field) {
			return true
		}
	}
	return false
}
