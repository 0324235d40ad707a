package otelsetup

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
)

// schemeTransport handles http and https on behalf of [http.DefaultTransport].
// Registering it cannot be undone, so that happens once per process, and
// tracing is switched on and off. Requests go over a clone of the transport
// that it is registered with, taken at the first request, so that what the
// program set on that transport before is respected.
type schemeTransport struct {
	original *http.Transport
	clone    func() *http.Transport
	traced   atomic.Pointer[http.RoundTripper] // nil: tracing is off
}

// registered is the schemeTransport of http.DefaultTransport, or nil.
var (
	registered   atomic.Pointer[schemeTransport]
	registration sync.Mutex
)

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
// until stop is called.
func traceDefaultTransport() (stop func(), err error) {
	registration.Lock()
	defer registration.Unlock()
	stop = func() {}
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return stop, fmt.Errorf("http.DefaultTransport is a %T, not an *http.Transport: "+
			"its requests are not traced unless it is wrapped in otelsetup.Transport", http.DefaultTransport)
	}
	s := registered.Load()
	if s == nil || s.original != transport {
		s = &schemeTransport{original: transport, clone: sync.OnceValue(transport.Clone)}
		if err := s.register(); err != nil {
			return stop, err
		}
		registered.Store(s)
	}
	traced := Transport(nil)
	s.traced.Store(&traced)
	return func() { s.traced.Store(nil) }, nil
}

var errTransportUsed = errors.New("http.DefaultTransport was used before otelsetup.Start, so its requests are not traced: " +
	"call Start first, or use otelsetup.Transport")

// register fails when the transport has been used: net/http has registered
// HTTP/2 for https by then.
//
// What is registered is a struct with one exported field because that is how
// net/http recognises a transport with an HTTP/2 of its own: it leaves https
// to it then, and forwards CloseIdleConnections.
func (s *schemeTransport) register() (err error) {
	type transport struct{ http.RoundTripper }
	defer func() {
		if recover() != nil {
			err = errTransportUsed
		}
	}()
	s.original.RegisterProtocol("https", transport{s})
	s.original.RegisterProtocol("http", transport{s})
	return nil
}

// defaultTransport is [http.DefaultTransport] without what
// traceDefaultTransport adds to it.
type defaultTransport struct{}

func (defaultTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if s := registered.Load(); s != nil && http.RoundTripper(s.original) == http.DefaultTransport {
		return s.clone().RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}
