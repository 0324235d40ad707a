package otelsetup

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// schemeTransport handles http and https on behalf of front, the
// [http.Transport] that takes the place of [http.DefaultTransport]: the type
// stays, and programs that change its fields can go on doing so. Requests go
// over a clone of it, taken at the first one.
//
// It is put there once per process, because other goroutines may read
// http.DefaultTransport by the time of Shutdown; tracing is switched on and off.
type schemeTransport struct {
	front  *http.Transport
	clone  func() *http.Transport
	traced atomic.Pointer[http.RoundTripper] // nil: tracing is off
}

// installed is the schemeTransport of http.DefaultTransport, or nil.
var installed atomic.Pointer[schemeTransport]

func (s *schemeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if traced := s.traced.Load(); traced != nil && !alreadyTraced(r) {
		return (*traced).RoundTrip(r)
	}
	return s.clone().RoundTrip(r)
}

func (s *schemeTransport) CloseIdleConnections() { s.clone().CloseIdleConnections() }

// alreadyTraced reports whether a header field carries the id of the span that
// is active in the request's context, whatever the propagator: then somebody
// above has made its client span.
func alreadyTraced(r *http.Request) bool {
	sc := trace.SpanContextFromContext(r.Context())
	if !sc.IsValid() {
		return false
	}
	id := sc.SpanID().String()
	for _, values := range r.Header {
		if len(values) > 0 && strings.Contains(values[0], id) {
			return true
		}
	}
	return false
}

// traceDefaultTransport makes requests over [http.DefaultTransport] traced,
// until stop is called. It runs under the lock of Start.
func traceDefaultTransport(opts []HTTPOption) (stop func(), err error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return func() {}, fmt.Errorf("http.DefaultTransport is a %T, not an *http.Transport: "+
			"its requests are not traced unless it is wrapped in otelsetup.Transport", http.DefaultTransport)
	}
	s := installed.Load()
	if s == nil || s.front != transport {
		s = newSchemeTransport(transport.Clone())
		installed.Store(s)
		http.DefaultTransport = s.front
	}
	traced := Transport(nil, opts...)
	s.traced.Store(&traced)
	return func() { s.traced.Store(nil) }, nil
}

// newSchemeTransport registers a schemeTransport with front.
//
// What is registered is a struct with one exported field because that is how
// net/http recognises a transport with an HTTP/2 of its own: it leaves https
// to it then, and forwards CloseIdleConnections.
func newSchemeTransport(front *http.Transport) *schemeTransport {
	type transport struct{ http.RoundTripper }
	s := &schemeTransport{front: front, clone: sync.OnceValue(front.Clone)}
	front.RegisterProtocol("https", transport{s})
	front.RegisterProtocol("http", transport{s})
	return s
}

// defaultTransport is [http.DefaultTransport] without what
// traceDefaultTransport adds to it.
type defaultTransport struct{}

func (defaultTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if s := installed.Load(); s != nil && http.DefaultTransport == http.RoundTripper(s.front) {
		return s.clone().RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}
