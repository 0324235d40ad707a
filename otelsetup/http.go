package otelsetup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"

	"github.com/felixge/httpsnoop"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/lowercase"
	"github.com/clewtrace/clew/propagator/trust"
)

// HTTPOption changes what [Handler] or [Transport] records.
type HTTPOption interface{ applyHTTP(*httpConfig) }

type httpConfig struct {
	otelhttp []otelhttp.Option
	trusted  func(*http.Request) bool // nil: every caller
	hosts    *trust.Hosts             // nil: every host
	hide     func(name string) bool   // the query parameters whose values are not recorded
}

type httpOption func(*httpConfig)

func (o httpOption) applyHTTP(c *httpConfig) { o(c) }

// WithFilter leaves out the requests for which trace returns false: they are
// served or sent without a span. By default every request is traced. A health
// check that is left out here costs nothing, but its callees start traces of
// their own.
func WithFilter(trace func(*http.Request) bool) HTTPOption {
	return httpOption(func(c *httpConfig) { c.otelhttp = append(c.otelhttp, otelhttp.WithFilter(trace)) })
}

// WithTrust makes [Handler] a trust boundary: it continues the traces of the
// callers that trusted accepts, for example [trust.Networks] or
// [trust.Secret]. The request of another caller starts a new trace,
// linked to what the caller sent, and its baggage is dropped. By default every
// caller is trusted. A service that the internet reaches wants this.
func WithTrust(trusted func(*http.Request) bool) HTTPOption {
	return httpOption(func(c *httpConfig) { c.trusted = trusted })
}

// WithHosts sends trace ids and baggage only to these hosts: to others nothing
// leaks, and the client span is recorded all the same. By default every host
// gets them. It is an option for [Transport], and for [Start], where it is about
// [http.DefaultTransport].
func WithHosts(hosts trust.Hosts) HTTPOption {
	return withHosts{hosts}
}

type withHosts struct{ trust.Hosts }

func (o withHosts) applyHTTP(c *httpConfig) { c.hosts = &o.Hosts }

// WithSensitiveQuery says which query parameters are recorded without their
// values: hide gets a name, unescaped. The default is [SensitiveQuery]. The
// credentials in a URL are never recorded. It is an option for [Handler] and
// [Transport], and for [Start], where it is about [http.DefaultTransport].
func WithSensitiveQuery(hide func(name string) bool) HTTPOption {
	return withSensitiveQuery(hide)
}

type withSensitiveQuery func(name string) bool

func (o withSensitiveQuery) applyHTTP(c *httpConfig) { c.hide = o }

func newHTTPConfig(opts []HTTPOption) httpConfig {
	c := httpConfig{hide: SensitiveQuery}
	for _, o := range opts {
		o.applyHTTP(&c)
	}
	return c
}

// Handler records a server span and the HTTP server metrics for each request
// that h serves, and continues the caller's trace. The span is active in the
// request's context.
//
// It is named by the method and, when an [http.ServeMux] inside h matched a
// pattern, by its path: "GET /users/{id}"; http.route is set then. A status of
// 500 or more is an error. A panic is recorded with its stack, logged with the
// ids of the span, answered with status 500 if nothing was written before, and
// goes on to the server.
//
// Middleware that gives a mux another request, one with another context for
// example, hides the pattern. Put a Handler around the mux as well, then: inside
// another one it adds no span, its options do not count, and it tells that one
// the pattern.
//
//	otelsetup.Handler(authenticate(otelsetup.Handler(mux)))
func Handler(h http.Handler, opts ...HTTPOption) http.Handler {
	c := newHTTPConfig(opts)
	var outer http.Handler = outermost{otelhttp.NewHandler(serverSpan{h, c.hide}, "", c.otelhttp...)}
	if c.trusted != nil {
		outer = trust.Handler(outer, c.trusted)
	}
	return handler{outer, h}
}

// handler is outer, and within another handler plain.
type handler struct{ outer, plain http.Handler }

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, ok := r.Context().Value(servingKey{}).(*serving)
	if !ok || s.header != headerOf(r) {
		h.outer.ServeHTTP(w, r)
		return
	}
	defer func() {
		if s.pattern == "" {
			s.pattern = r.Pattern
		}
	}()
	h.plain.ServeHTTP(w, r)
}

// serving is what the handlers of one request know of each other.
type serving struct {
	header   uintptr // which request: one that is made within its context is another
	pattern  string  // from an inner handler
	panicked any
}

// servingKey is the key of the *serving of a request.
type servingKey struct{}

// headerOf tells requests apart: copies with another context share the header.
func headerOf(r *http.Request) uintptr { return reflect.ValueOf(r.Header).Pointer() }

// outermost lets the panic of a handler go on after the request has been
// recorded.
type outermost struct{ next http.Handler }

func (h outermost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := &serving{header: headerOf(r)}
	h.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), servingKey{}, s)))
	if s.panicked != nil {
		panic(s.panicked)
	}
}

// serverSpan completes the span that otelhttp makes.
type serverSpan struct {
	next http.Handler
	hide func(name string) bool
}

func (h serverSpan) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	span := trace.SpanFromContext(r.Context())
	if span.IsRecording() {
		span.SetAttributes(semconv.URLFull(redactURL(requestURL(r), h.hide)))
	}
	written := false
	w = watchWrites(w, &written)
	s, ok := r.Context().Value(servingKey{}).(*serving)
	defer func() {
		if ok && r.Pattern == "" {
			r.Pattern = s.pattern // otelhttp looks there too
		}
		if path := patternPath(r.Pattern); path != "" {
			span.SetAttributes(semconv.HTTPRoute(path))
		}
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler || !ok { //nolint:errorlint // net/http compares the same way
			panic(v)
		}
		s.panicked = v
		recordPanic(r.Context(), span, v)
		if !written {
			// The server drops the connection after a panic, so that the answer
			// has to be complete, and on its way, before.
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusInternalServerError)
			http.NewResponseController(w).Flush() //nolint:errcheck // not every writer can
		}
	}()
	h.next.ServeHTTP(w, r)
}

// watchWrites notes in written when an answer begins, or the connection is
// taken over. The optional interfaces of w stay.
func watchWrites(w http.ResponseWriter, written *bool) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				*written = *written || code >= http.StatusOK || code == http.StatusSwitchingProtocols
				next(code)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(b []byte) (int, error) { *written = true; return next(b) }
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { *written = true; return next(src) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { *written = true; next() }
		},
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) { *written = true; return next() }
		},
	})
}

// requestURL is the URL that the client asked for, as far as the server knows.
func requestURL(r *http.Request) *url.URL {
	u := &url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u
}

// patternPath is the path of a [http.ServeMux] pattern "[METHOD ][HOST]/[PATH]".
func patternPath(pattern string) string {
	for i := range len(pattern) {
		if pattern[i] == '/' {
			return pattern[i:]
		}
	}
	return ""
}

// recordPanic puts a panic on its span, and into the log.
func recordPanic(ctx context.Context, span trace.Span, v any) {
	err, ok := v.(error)
	if !ok {
		err = fmt.Errorf("%v", v)
	}
	stack := string(debug.Stack())
	span.RecordError(fmt.Errorf("panic: %w", err), trace.WithAttributes(semconv.ExceptionStacktrace(stack)))
	span.SetStatus(codes.Error, "panic: "+err.Error())
	slog.ErrorContext(ctx, "panic", slog.Any("error", err), slog.String("stack", stack))
}

// Transport records a client span and the HTTP client metrics for each request
// that base sends, and passes the trace on. A nil base is
// [http.DefaultTransport].
//
// The span is named by the method, ends when the response's body has been read
// or closed, and is an error from status 400 up. Header names go out in lower
// case, once each, as Trace Context Level 2, section "Header name", asks:
// some servers compare them case-sensitively.
func Transport(base http.RoundTripper, opts ...HTTPOption) http.RoundTripper {
	if t, ok := base.(*http.Transport); base == nil || ok && http.RoundTripper(t) == http.DefaultTransport {
		base = defaultTransport{}
	}
	c := newHTTPConfig(opts)
	if c.hosts != nil {
		base = trust.Transport(base, *c.hosts)
	}
	return otelhttp.NewTransport(clientSpan{base, c.hide}, append([]otelhttp.Option{
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Method }),
		otelhttp.WithPropagators(lowerCase{otel.GetTextMapPropagator()}),
	}, c.otelhttp...)...)
}

// lowerCase injects under lower-case names.
type lowerCase struct{ propagation.TextMapPropagator }

func (p lowerCase) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if h, ok := carrier.(propagation.HeaderCarrier); ok {
		carrier = lowercase.Carrier(h)
	}
	p.TextMapPropagator.Inject(ctx, carrier)
}

// clientSpan completes the span that otelhttp makes.
type clientSpan struct {
	next http.RoundTripper
	hide func(name string) bool
}

func (t clientSpan) RoundTrip(r *http.Request) (*http.Response, error) {
	if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
		span.SetAttributes(semconv.URLFull(redactURL(r.URL, t.hide)), semconv.URLScheme(r.URL.Scheme), semconv.URLPath(r.URL.Path))
	}
	return t.next.RoundTrip(r)
}
