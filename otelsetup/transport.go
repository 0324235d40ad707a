package otelsetup

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/clientspan"
)

// detour traces an [http.Transport] in place. The transport stays itself, with
// its fields, connections and registered protocols: the detour is registered
// with it for http and https. It makes the span and sends the request over the
// same transport again, knows it by the mark in its context, and answers
// [http.ErrSkipAltProtocol]: then the transport handles the request itself, as
// if nothing was registered.
//
// What that gives up is listed in docs/http.md, "http.DefaultTransport".
type detour struct {
	traced  atomic.Pointer[http.RoundTripper] // nil: tracing is off
	http2   *lentHTTP2                        // nil if the transport has its own
	problem error                             // which requests do not come here
}

// registered is what net/http is given: it takes a struct with one exported
// field for an HTTP/2 that the program has brought along, sets up no other, and
// calls CloseIdleConnections on the field.
type registered struct{ http.RoundTripper }

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if traced := d.traced.Load(); traced != nil && !clientspan.Covered(r) {
		return (*traced).RoundTrip(r)
	}
	if d.http2 != nil {
		d.http2.prepare()
	}
	return nil, http.ErrSkipAltProtocol
}

func (d *detour) CloseIdleConnections() {
	if d.http2 != nil {
		d.http2.closeIdleConnections()
	}
}

// detours has those of all transports that [http.DefaultTransport] was at a
// Start. What is registered stays registered; tracing is switched on and off.
var detours = struct {
	sync.Mutex
	of map[*http.Transport]*detour
}{of: map[*http.Transport]*detour{}}

// traceDefaultTransport makes requests over [http.DefaultTransport] traced, until
// stop is called. The problem says which of them are not.
//
// It does not write the variable, which others read meanwhile and put back. It
// comes before anything that may use or clone the transport.
func traceDefaultTransport(opts []clewhttp.TransportOption) (stop func(), problem error) {
	transport, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		if fmt.Sprintf("%T", http.DefaultTransport) == fmt.Sprintf("%T", clewhttp.Transport(nil)) {
			return func() {}, nil // the program has seen to it
		}
		return func() {}, fmt.Errorf("http.DefaultTransport is a %T, not an *http.Transport: "+
			"its requests are not traced unless it is wrapped in clewhttp.Transport", http.DefaultTransport)
	}
	d := detourOf(transport)
	traced := clewhttp.Transport(transport, opts...)
	d.traced.Store(&traced)
	return func() { d.traced.Store(nil) }, d.problem
}

var (
	errUsed = errors.New("http.DefaultTransport was used or cloned before Start: its https requests are not traced, " +
		"because net/http keeps them to its HTTP/2 from then on. " + adviceHTTPS)
	errHTTPSTaken = errors.New("a protocol is registered for https with http.DefaultTransport, by http2.ConfigureTransports for example: " +
		"its https requests are not traced. " + adviceHTTPS)
	errHTTPTaken = errors.New("a protocol is registered for http with http.DefaultTransport: its http requests are not traced")
)

const adviceHTTPS = "Call Start first, or before Start: http.DefaultTransport = http.DefaultTransport.(*http.Transport).Clone()"

// detourOf returns the detour of a transport, registered.
func detourOf(transport *http.Transport) *detour {
	detours.Lock()
	defer detours.Unlock()
	if d := detours.of[transport]; d != nil {
		return d
	}
	d := &detour{http2: &lentHTTP2{transport: transport}}
	// A request that comes in between waits in prepare.
	d.http2.mu.Lock()
	if register(transport, "https", d) {
		d.http2.lend()
		d.http2.mu.Unlock()
	} else {
		d.http2 = nil
		d.problem = errHTTPSTaken
		if usesOwnHTTP2(transport) {
			d.problem = errUsed
		}
	}
	if !register(transport, "http", d) {
		d.problem = errors.Join(d.problem, errHTTPTaken)
	}
	detours.of[transport] = d
	return d
}

// usesOwnHTTP2 reports whether net/http has set up HTTP/2 in a transport by
// itself. It leaves that out of clones, which get their own. A request may be
// setting it up right now: Clone waits for that.
func usesOwnHTTP2(transport *http.Transport) bool {
	clone := transport.Clone()
	return transport.TLSNextProto[h2] != nil && clone.TLSNextProto[h2] == nil
}

// register reports whether nothing was registered for scheme.
func register(transport *http.Transport, scheme string, rt http.RoundTripper) (free bool) {
	defer func() {
		if recover() != nil {
			free = false
		}
	}()
	transport.RegisterProtocol(scheme, registered{rt})
	return true
}

// lentHTTP2 lends a transport the HTTP/2 of another one, the engine: net/http
// would register its own for https, where the detour is. On a connection whose
// other end speaks HTTP/2 the engine sends the requests; everything before that,
// from the proxy to the handshake, is the transport's.
type lentHTTP2 struct {
	transport *http.Transport

	mu     sync.Mutex
	begun  bool // a request has been prepared
	engine *http.Transport

	// What lend has changed in the transport's TLS configuration.
	config *tls.Config
	made   bool     // there was none
	before []string // its NextProtos
}

const h2 = "h2"

// lend sets the transport up as net/http does before its first request, and on
// the same conditions: the engine is a clone, for which net/http decides.
func (l *lentHTTP2) lend() {
	t := l.transport
	if l.engine == nil && t.TLSNextProto[h2] != nil {
		return // the program has an HTTP/2 of its own
	}
	engine := t.Clone()
	if l.config != nil && l.config == t.TLSClientConfig {
		engine.TLSClientConfig.NextProtos = l.before
		if l.made {
			engine.TLSClientConfig = nil
		}
	}
	if l.engine != nil && t.TLSNextProto[h2] == nil && t.TLSNextProto != nil {
		engine.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // the program has switched HTTP/2 off
	}
	engine.CloseIdleConnections() // it is set up now
	l.engine = engine
	if engine.TLSNextProto[h2] != nil {
		t.TLSNextProto = maps.Clone(engine.TLSNextProto)
		l.setNextProtos(engine.TLSClientConfig.NextProtos)
		return
	}
	if t.TLSNextProto[h2] != nil {
		t.TLSNextProto = nil
	}
	l.restore()
}

func (l *lentHTTP2) setNextProtos(protos []string) {
	t := l.transport
	made := t.TLSClientConfig == nil
	if made {
		t.TLSClientConfig = new(tls.Config)
	}
	if slices.Equal(t.TLSClientConfig.NextProtos, protos) {
		return
	}
	l.config, l.made, l.before = t.TLSClientConfig, made, t.TLSClientConfig.NextProtos
	t.TLSClientConfig.NextProtos = protos
}

func (l *lentHTTP2) restore() {
	if l.config == nil || l.config != l.transport.TLSClientConfig {
		return
	}
	l.config.NextProtos = l.before
	if l.made {
		l.transport.TLSClientConfig = nil
	}
}

// prepare comes before each request. It takes over the fields that HTTP/2 reads
// from its transport while it runs, because the program may set them at any time,
// and looks again, once, at what decides whether there is HTTP/2 at all.
func (l *lentHTTP2) prepare() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		l.begun = true
		l.lend()
	}
	if l.engine == nil {
		return
	}
	follow(&l.engine.DisableKeepAlives, l.transport.DisableKeepAlives)
	follow(&l.engine.DisableCompression, l.transport.DisableCompression)
	follow(&l.engine.MaxResponseHeaderBytes, l.transport.MaxResponseHeaderBytes)
	follow(&l.engine.ResponseHeaderTimeout, l.transport.ResponseHeaderTimeout)
	follow(&l.engine.ExpectContinueTimeout, l.transport.ExpectContinueTimeout)
	follow(&l.engine.IdleConnTimeout, l.transport.IdleConnTimeout)
	follow(&l.engine.HTTP2, l.transport.HTTP2)
}

// follow does not write what is equal, because requests in flight read it.
func follow[T comparable](own *T, v T) {
	if *own != v {
		*own = v
	}
}

func (l *lentHTTP2) closeIdleConnections() {
	l.mu.Lock()
	engine := l.engine
	l.mu.Unlock()
	if engine != nil {
		engine.CloseIdleConnections()
	}
}
