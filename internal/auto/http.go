package auto

import (
	"context"
	"net/http"
	"slices"
	"strings"
	_ "unsafe" // for go:linkname

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/patched"
)

//go:linkname hookServe net/http.clewServe
var hookServe func(h http.Handler, w http.ResponseWriter, r *http.Request)

//go:linkname hookRoute net/http.clewRoute
var hookRoute func(r *http.Request, pattern string)

//go:linkname hookRoundTrip net/http.clewRoundTrip
var hookRoundTrip func(t *http.Transport, r *http.Request) (*http.Response, error)

//go:linkname hookOriginal net/http.clewOriginal
var hookOriginal func(r *http.Request) *http.Request

//go:linkname plainRoundTrip net/http.clewPlainRoundTrip
func plainRoundTrip(t *http.Transport, r *http.Request) (*http.Response, error)

//go:linkname responseState net/http.clewResponseState
func responseState(w http.ResponseWriter) (status int, written int64, hijacked, ok bool)

//go:linkname panicValue runtime.clewPanicValue
func panicValue() (v any, panicking bool)

var (
	server http.Handler
	client http.RoundTripper
)

func installHTTP() {
	server = clewhttp.Handler(http.HandlerFunc(serveTraced), clewhttp.WithPatched(&patched.Server{Response: response, Panic: panicValue, Named: isNamed}))
	client = clewhttp.Transport(sender{})
	hookServe, hookRoute, hookRoundTrip, hookOriginal = serve, route, roundTrip, original
}

func response(w http.ResponseWriter) (r patched.Response, ok bool) {
	r.Status, r.Written, r.Hijacked, ok = responseState(w)
	return r, ok
}

// isNamed reports whether the request that this goroutine serves is a call of
// gRPC, which has a better name than its path.
func isNamed() bool {
	s := current()
	return s != nil && s.named.Load()
}

// serve serves a request that a server has read by h.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	before := current()
	if before == suppressed || standsBack() {
		h.ServeHTTP(w, r)
		return
	}
	if isHealthCheck(r) {
		enter(untraced)
		defer enter(before)
		h.ServeHTTP(w, r)
		return
	}
	s := scopes.Get().(*scope)
	s.serves = h
	enter(s)
	defer s.leave(before)
	server.ServeHTTP(w, r)
}

// serveTraced serves a request inside its span.
func serveTraced(w http.ResponseWriter, r *http.Request) {
	s, ctx := current(), r.Context()
	h := s.serves
	s.serves = nil
	s.span, s.baggage = trace.SpanContextFromContext(ctx), baggage.FromContext(ctx)
	defer s.ended.Store(true)
	if bridge != nil {
		// Not a copy of it: what handlers find out about it, the server has to know.
		*r = *r.WithContext(bridge.Serve(ctx, trace.SpanFromContext(ctx)))
	}
	h.ServeHTTP(w, r)
}

// isHealthCheck reports whether a request asks only whether the program is
// there. The preface of HTTP/2 is no request either.
func isHealthCheck(r *http.Request) bool {
	if r.Method == "PRI" || r.URL != nil && (slices.Contains(config.HealthPaths, r.URL.Path) || isRPCProbe(r.URL.Path)) {
		return true
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "kube-probe/") || strings.HasPrefix(agent, "ELB-HealthChecker/") || strings.HasPrefix(agent, "GoogleHC/")
}

// route notes the pattern that a router has found. The request keeps its own.
func route(r *http.Request, pattern string) {
	own := r.Pattern
	clewhttp.SetPattern(r, pattern)
	r.Pattern = own
}

// outgoing is the context of a request that a transport was asked to send.
type outgoing struct {
	context.Context // with the span that it belongs to
	transport       *http.Transport
	request         *http.Request // the caller's
	sent            *http.Request
}

type outgoingKey struct{}

func (o *outgoing) Value(key any) any {
	if key == (outgoingKey{}) {
		return o
	}
	return o.Context.Value(key)
}

func outgoingOf(r *http.Request) *outgoing {
	o, _ := r.Context().Value(outgoingKey{}).(*outgoing)
	return o
}

func roundTrip(t *http.Transport, r *http.Request) (*http.Response, error) {
	if !current().hasSpans() || r.URL == nil || r.Header == nil || standsBack() || bridge != nil && bridge.SendsHTTP(r.Context()) {
		return plainRoundTrip(t, r)
	}
	if o := outgoingOf(r); o != nil && o.transport == t && o.sent == r {
		return plainRoundTrip(t, r) // a protocol of t that has come back to it
	}
	o := &outgoing{Context: withParent(r.Context()), transport: t, request: r}
	traced := r.WithContext(o)
	resp, err := client.RoundTrip(traced)
	if resp != nil && resp.Request == traced {
		resp.Request = r
	}
	return resp, err
}

// sender sends what has its span.
type sender struct{}

func (sender) RoundTrip(r *http.Request) (*http.Response, error) {
	o := outgoingOf(r)
	o.sent = r
	return plainRoundTrip(o.transport, r)
}

// original returns the request that the caller of a transport knows.
func original(r *http.Request) *http.Request {
	if o := outgoingOf(r); o != nil && o.sent == r {
		return o.request
	}
	return r
}
