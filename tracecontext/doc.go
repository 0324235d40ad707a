// Package tracecontext reads and writes the two headers of W3C Trace Context
// Level 2, traceparent and tracestate. It depends on the standard library alone.
//
// Both types are small immutable values, like those of [net/netip]. They are
// comparable, so they can be keys of maps. They are safe for concurrent use, and they
// go into JSON, flags and configuration as text. Parsing a header that is well formed
// and appending it to a buffer do not allocate.
//
// The Recommendation is Trace Context Level 2, https://www.w3.org/TR/trace-context-2/.
// Comments cite its sections by their titles.
package tracecontext
