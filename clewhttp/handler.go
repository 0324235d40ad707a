package clewhttp

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator/trust"
)

// Handler records a server span and the HTTP server metrics for each request
// that h serves, and continues the caller's trace. The span is active in the
// request's context. A nil h is [http.DefaultServeMux].
//
// The span is named by the method and, when a pattern matched, by its path:
// "GET /users/{id}"; http.route is set then. The pattern is the Pattern of the
// request that h was given, which an [http.ServeMux] sets, or what [Route] and
// [SetPattern] told from farther inside. A status of 500 or more is an error.
//
// A panic is recorded with its stack, logged with the ids of the span, and goes
// on as it came: nothing is answered on the handler's behalf.
//
// A Handler inside another one, for the same request, adds no span, and its
// options do not count; it is a [Route].
func Handler(h http.Handler, opts ...HandlerOption) http.Handler {
	if h == nil {
		h = http.DefaultServeMux
	}
	c := handlerConfig{config: defaults()}
	for _, o := range opts {
		if o != nil {
			o.applyHandler(&c)
		}
	}
	s := &server{
		handlerConfig: c,
		next:          h,
		tracer:        newTracers(c.tracers),
		metrics:       newServerMetrics(c.meters),
	}
	var outer http.Handler = s
	if c.boundary != nil {
		outer = c.boundary(s)
	}
	return handler{outer: outer, next: h}
}

// handler is outer, and within another handler a Route.
type handler struct{ outer, next http.Handler }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x := exchangeOf(w, r); x != nil {
		x.route(h.next, w, r)
		return
	}
	h.outer.ServeHTTP(w, r)
}

// server serves the requests that no Handler outside has seen.
type server struct {
	handlerConfig
	next    http.Handler
	tracer  *tracers
	metrics *serverMetrics
}

// kindServer is made once, because making it allocates.
var kindServer = trace.WithSpanKind(trace.SpanKindServer)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(s.filters) > 0 && !s.traced(r) {
		x := &exchange{request: r, untraced: true}
		x.ctx = r.Context()
		x.copyRequest()
		x.wrapBody()
		defer x.giveBack()
		s.next.ServeHTTP(w, x.inner)
		return
	}
	x := &exchange{server: s, writer: w, request: r}
	x.start()
	x.serve()
	if !x.returned {
		// With GODEBUG=panicnil=1 a panic can have no value, which end cannot tell
		// from runtime.Goexit. That does not come here.
		panic(nil)
	}
}

func (x *exchange) serve() {
	defer x.end()
	x.server.next.ServeHTTP(x.out, x.inner)
	x.returned = true
}

// start begins the span, and makes what the handler inside is given.
func (x *exchange) start() {
	s, r := x.server, x.request
	x.method = knownMethod(r.Method)
	x.began = time.Now()
	ctx := s.propagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	given := scratches.Get().(*scratch)
	given.options = [...]trace.SpanStartOption{kindServer, trace.WithAttributes(x.startAttributes(given.attrs[:0])...)}
	x.ctx, x.span = s.tracer.get().Start(ctx, methodName(x.method), given.options[:]...)
	scratches.Put(given)
	x.recording = x.span.IsRecording()
	if x.recording {
		trust.Link(x.ctx, x.span)
	}

	x.copyRequest()
	x.wrapBody()
	x.out = x.wrapWriter()
}

func (x *exchange) wrapBody() {
	if body := x.request.Body; body != nil && body != http.NoBody {
		x.body = body
		x.inner.Body = (*requestBody)(x)
	}
}

// copyRequest makes the request that the handler is given, inside the exchange.
func (x *exchange) copyRequest() {
	x.copied = *x.request.WithContext((*exchangeContext)(x))
	x.inner = &x.copied
}

// end completes the span and the metrics. It runs deferred, so that it sees how
// the handler ended.
func (x *exchange) end() {
	x.giveBack()
	if x.own {
		x.takeResponse()
	}
	if x.returned {
		x.finish("", "")
		return
	}
	if p := x.server.patched; p != nil {
		v, _ := p.Panic()
		x.finishPanic(v)
		return // the panic, or runtime.Goexit, goes on by itself
	}
	v := recover()
	x.finishPanic(v)
	if v != nil {
		panic(v) // from here, the stack of the first panic is still there
	}
	// runtime.Goexit goes on by itself.
}

// giveBack tells the server's request what handlers have found out about their
// copy of it: the server removes the files of its form, and what is around the
// Handler looks for the pattern there.
func (x *exchange) giveBack() {
	if x.inner.MultipartForm != nil {
		x.request.MultipartForm = x.inner.MultipartForm
	}
	x.request.Pattern = x.inner.Pattern
}

// finish records how the request ended. failure is the error.type of a handler
// that did not return.
func (x *exchange) finish(failure, description string) {
	status := x.statusCode()
	if status == 0 && failure == "" && !x.hijacked.Load() {
		status = http.StatusOK // what the server answers then
	}
	if failure == "" && (status >= 500 || status != 0 && statusText(status) == "") {
		failure = statusText(status)
		if failure == "" {
			failure, description = otherError, invalidStatus(status)
		}
	}
	route := x.routePath()
	if x.recording {
		x.endSpan(status, route, failure, description)
	}
	x.server.metrics.record(x, status, route, failure)
	x.span.End()
}
