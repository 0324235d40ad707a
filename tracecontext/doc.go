// Package tracecontext reads and writes the two headers of W3C Trace Context
// Level 2, traceparent and tracestate, and nothing else: it depends on the
// standard library alone.
//
// Both types are small immutable values, in the manner of [net/netip]. They
// can be copied, kept in maps (both are comparable), used by several
// goroutines at once, and put into JSON, flags or configuration as text.
// Parsing a well-formed header and appending it to a buffer do not allocate.
//
// Section numbers in comments refer to the Recommendation,
// https://www.w3.org/TR/trace-context-2/.
package tracecontext
