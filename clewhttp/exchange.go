package clewhttp

import (
	"context"
	"io"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// exchange is all that the Handler knows of one request, in one allocation. It
// is also the response writer, the request body and the context that the handler
// inside is given: types over it, one for each set of methods, need no
// allocations of their own.
//
// A handler may go on in a goroutine that outlives the request, so what its
// methods change is atomic, and an exchange is not used again.
type exchange struct {
	server  *server
	writer  http.ResponseWriter // the server's
	request *http.Request       // the server's
	began   time.Time
	method  string // as knownMethod has it
	query   string // of the URL, redacted

	ctx       context.Context // with the span
	span      trace.Span
	recording bool
	own       bool // out is the server's own writer, which tells what was written: WithPatched
	untraced  bool // a filter left the request out
	returned  bool // the handler did not panic

	out    http.ResponseWriter // what the handler writes to
	inner  *http.Request       // what the handler is given: &copied
	copied http.Request
	body   io.ReadCloser // the server's; nil if there is none

	status   atomic.Int32 // 0 until there is one
	written  atomic.Int64
	read     atomic.Int64
	hijacked atomic.Bool
	pattern  atomic.Pointer[string] // from Route and SetPattern
}

// scratch holds what a span is given, at its start or at its end. Spans copy it,
// so that it can be used again.
type scratch struct {
	attrs   [10]attribute.KeyValue
	options [2]trace.SpanStartOption
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// exchangeContext is the context of a request, in which its exchange is found.
type exchangeContext exchange

// exchangeKey is the key of the *exchange of a request.
type exchangeKey struct{}

func (c *exchangeContext) Deadline() (time.Time, bool) { return c.ctx.Deadline() }
func (c *exchangeContext) Done() <-chan struct{}       { return c.ctx.Done() }
func (c *exchangeContext) Err() error                  { return c.ctx.Err() }

func (c *exchangeContext) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return (*exchange)(c)
	}
	return c.ctx.Value(key)
}

// exchangeOf returns the exchange of a Handler outside that serves the same
// request as w and r belong to, or nil.
//
// Middleware clones requests and wraps writers, and handlers make other requests
// within the context of theirs. It is the same request if what is written to w
// goes to the client of the exchange, or if r still has the request line and the
// peer that the server read. Both are wrong for none of: r.Clone, a header map
// or a body of its own, a rewritten path, a writer that buffers.
func exchangeOf(w http.ResponseWriter, r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	if x == nil || !x.untraced && x.writes(w) || x.isRequest(r) {
		return x
	}
	return nil
}

// writes reports whether what is written to w goes to x.
func (x *exchange) writes(w http.ResponseWriter) bool {
	for range maxUnwraps {
		if w == x.out {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
	return false
}

// maxUnwraps bounds the walk for writers that unwrap to themselves.
const maxUnwraps = 32

// isRequest reports whether r is the request of x, or a copy of it.
func (x *exchange) isRequest(r *http.Request) bool {
	own := x.request
	if sameMap(own.Header, r.Header) {
		return true
	}
	if own.RequestURI != r.RequestURI || own.RemoteAddr != r.RemoteAddr {
		return false
	}
	// A request that no server has read has no request line.
	return own.RequestURI != "" || own.Method == r.Method && own.Host == r.Host && sameURL(own, r)
}

// isPeer reports whether r says that it came over the connection of x. A copy
// with another request line still does.
func (x *exchange) isPeer(r *http.Request) bool {
	return r.RemoteAddr != "" && r.RemoteAddr == x.request.RemoteAddr
}

func sameURL(a, b *http.Request) bool {
	return a.URL == b.URL || a.URL != nil && b.URL != nil && *a.URL == *b.URL
}

// sameMap reports whether a and b are one map, not whether they are equal.
func sameMap(a, b http.Header) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
