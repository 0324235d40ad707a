// Package patched describes what a standard library tells that "clew go" has
// patched. It lets package clewhttp work without a wrapper around the writer of
// a response, and without recovering panics.
package patched

import "net/http"

// Server is what net/http and the runtime tell about a request that is served.
type Server struct {
	// Response is what has been answered on w. It is false for a writer that is
	// not net/http's own.
	Response func(w http.ResponseWriter) (r Response, ok bool)
	// Panic is the value of the panic that unwinds this goroutine, without
	// recovering it. It is false if the goroutine is about to exit.
	Panic func() (v any, panicking bool)
	// Named reports whether the span of the request that this goroutine serves has
	// a name that its route does not change.
	Named func() bool
}

// Response is what has been answered so far.
type Response struct {
	Status   int // 0: none yet
	Written  int64
	Hijacked bool
}
