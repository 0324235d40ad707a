package otelsetup

import "strings"

// LookupProtocol returns what a value of OTEL_EXPORTER_OTLP_PROTOCOL stands
// for, so that it can be changed and registered again: a copy with other
// exporters keeps the rest. It is safe for concurrent use.
func LookupProtocol(name string) (p Protocol, ok bool) {
	return protocols.get(strings.ToLower(name))
}
