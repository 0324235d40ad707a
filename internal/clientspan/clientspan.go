// Package clientspan tells whether a request on its way out has a client span
// already. Transports are stacked, and http.DefaultTransport is traced in place,
// so that several may see the same request.
package clientspan

import (
	"net/http"
	"reflect"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Key is the context key of a [Mark].
type Key struct{}

// Mark is in the context of a request that clewhttp.Transport has sent on.
type Mark interface {
	// Sent is the request as it was sent on.
	Sent() *http.Request
	// Span is its span, nil if a filter left it out.
	Span() trace.Span
}

// Covered reports whether r has its client span, or has been left out, and is
// only on its way through a stack of transports.
func Covered(r *http.Request) bool {
	mark, _ := r.Context().Value(Key{}).(Mark)
	if mark != nil && isCopy(mark.Sent(), r) {
		return true
	}
	active := trace.SpanFromContext(r.Context())
	return (mark == nil || mark.Span() != active) && isClientSpan(active, r)
}

// isCopy reports whether r is the request that was sent, or a copy of it.
// Whoever made another request within its context, for a token say, is not taken
// for it, unless he asks the same host for the same thing. A copy for which the
// host has been resolved, or to which a signature was added, is.
func isCopy(sent, r *http.Request) bool {
	if sent.URL == r.URL || sameMap(sent.Header, r.Header) {
		return true
	}
	if sent.Body != nil && sent.Body != http.NoBody && reflect.TypeOf(sent.Body).Comparable() && sent.Body == r.Body {
		return true
	}
	return r.URL != nil && sent.Method == r.Method && host(sent) == host(r) && sent.URL.Path == r.URL.Path
}

// host is what the Host field of r says.
func host(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// sameMap reports whether a and b are one map, not whether they are equal.
func sameMap(a, b http.Header) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// isClientSpan reports whether span is the client span that another
// instrumentation has made for r, as the conventions describe one: Semantic
// Conventions 1.43.0, "HTTP client span". A span that is not recorded does not
// tell.
func isClientSpan(span trace.Span, r *http.Request) bool {
	s, ok := span.(interface {
		SpanKind() trace.SpanKind
		Attributes() []attribute.KeyValue
	})
	if !ok || s.SpanKind() != trace.SpanKindClient || r.URL == nil {
		return false
	}
	method, address := false, false
	for _, a := range s.Attributes() {
		switch a.Key {
		case semconv.HTTPRequestMethodKey:
			method = true
		case semconv.ServerAddressKey:
			address = a.Value.AsString() == r.URL.Hostname()
		}
	}
	return method && address
}
