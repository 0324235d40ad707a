package otlp

import (
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of ResourceSpans, ResourceLogs and ResourceMetrics, and those of ScopeSpans, ScopeLogs
// and ScopeMetrics, that have the same numbers in all three.
const (
	groupDescription protowire.Number = 1 // the Resource or the InstrumentationScope
	groupSchemaURL   protowire.Number = 3

	resourceAttributes protowire.Number = 1

	scopeName       protowire.Number = 1
	scopeVersion    protowire.Number = 2
	scopeAttributes protowire.Number = 3
)

// AppendResource appends the fields of ResourceSpans, ResourceLogs or ResourceMetrics that describe
// the resource: the resource (1) unless it is empty, and the URL of its schema (3). A nil resource
// is empty.
func AppendResource(b []byte, r *resource.Resource) []byte {
	if r.Len() > 0 {
		var at int
		b, at = openMessage(b, groupDescription)
		b = appendAttributeSet(b, resourceAttributes, r.Iter())
		b = closeMessage(b, at)
	}
	return appendString(b, groupSchemaURL, r.SchemaURL())
}

// AppendScope appends the fields of ScopeSpans, ScopeLogs or ScopeMetrics that describe the
// instrumentation scope: the scope (1) unless it is the zero value, and the URL of its schema (3).
func AppendScope(b []byte, s instrumentation.Scope) []byte {
	if s == (instrumentation.Scope{}) {
		return b
	}
	b, at := openMessage(b, groupDescription)
	b = appendString(b, scopeName, s.Name)
	b = appendString(b, scopeVersion, s.Version)
	b = appendAttributeSet(b, scopeAttributes, s.Attributes.Iter())
	b = closeMessage(b, at)
	return appendString(b, groupSchemaURL, s.SchemaURL)
}
