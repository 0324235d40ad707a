package clewhttp_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
)

const callerTrace = "0af7651916cd43dd84ffffffffffffff"

func request(t *testing.T, method, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, http.NoBody)
	r.Header.Set("Traceparent", "00-"+callerTrace+"-b7ad6b7169203331-01")
	return r
}

func TestHandler(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		if !trace.SpanFromContext(r.Context()).IsRecording() {
			t.Error("the span is not active in the handler")
		}
		io.WriteString(w, "ok")
	})
	mux.HandleFunc("example.com/host", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	mux.HandleFunc("/odd", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(799) })
	for _, test := range []struct {
		request, name, route, query, status, failure string
		code                                         codes.Code
	}{
		{request: "GET http://localhost/users/42?q=1&token=abc", name: "GET /users/{id}", route: "/users/{id}", query: "q=1&token=REDACTED", status: "200"},
		{request: "GET http://example.com/host", name: "GET /host", route: "/host", status: "200"},
		{request: "GET http://localhost/nowhere", name: "GET", status: "404"},
		{request: "POST http://localhost/users/42", name: "POST", status: "405"},
		{request: "PROPFIND http://localhost/bad", name: "HTTP /bad", route: "/bad", status: "400"},
		{request: "GET http://localhost/fails", name: "GET /fails", route: "/fails", status: "500", failure: "500", code: codes.Error},
		{request: "GET http://localhost/odd", name: "GET /odd", route: "/odd", status: "799", failure: "_OTHER", code: codes.Error},
		{request: "GET http://localhost/bad", name: "GET /bad", route: "/bad", status: "400"},
	} {
		t.Run(test.request, func(t *testing.T) {
			tel := newTelemetry(t)
			method, target, _ := strings.Cut(test.request, " ")
			tel.handler(mux).ServeHTTP(httptest.NewRecorder(), request(t, method, target))
			s := tel.only(t, trace.SpanKindServer)
			for key, got := range map[string][2]string{
				"name":                      {s.Name(), test.name},
				"http.route":                {text(s, "http.route"), test.route},
				"url.query":                 {text(s, "url.query"), test.query},
				"http.response.status_code": {text(s, "http.response.status_code"), test.status},
				"error.type":                {text(s, "error.type"), test.failure},
				"parent":                    {s.Parent().SpanID().String(), "b7ad6b7169203331"},
			} {
				if got[0] != got[1] {
					t.Errorf("%s is %q, want %q", key, got[0], got[1])
				}
			}
			if s.Status().Code != test.code {
				t.Errorf("status %v, want %v", s.Status().Code, test.code)
			}
			series := tel.series(t, "http.server.request.duration")
			if len(series) != 1 || setText(series[0], "http.route") != test.route || setText(series[0], "error.type") != test.failure {
				t.Errorf("series %v", series)
			}
		})
	}
}

// TestPanicsGoOnUntouched asks a real server with a recovery middleware outside,
// because what follows a panic is their business.
func TestPanicsGoOnUntouched(t *testing.T) {
	failure := errors.New("no way out")
	for _, test := range []struct {
		name, status, errorType string
		handler                 http.HandlerFunc
		answer                  int // 0: the connection breaks off
		exception               bool
	}{
		{"an error", "", "*errors.errorString", func(http.ResponseWriter, *http.Request) { panic(failure) }, 503, true},
		{"a text", "", "panic", func(http.ResponseWriter, *http.Request) { panic("no way out") }, 503, true},
		{"after a status", "418", "panic", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			w.(http.Flusher).Flush()
			panic("no way out")
		}, 418, true},
		{"an abort", "", "http.ErrAbortHandler", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, false},
		{"an abort after half an answer", "200", "http.ErrAbortHandler", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tel := newTelemetry(t)
			mux := http.NewServeMux()
			mux.HandleFunc("GET /route", test.handler)
			inner := tel.handler(mux)
			recovering := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					v := recover()
					if v == http.ErrAbortHandler { //nolint:errorlint // net/http compares the same way
						panic(v)
					}
					if err, ok := v.(error); ok && err != failure { //nolint:errorlint // identity is what counts
						t.Errorf("the panic went on as %v", v)
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusServiceUnavailable)
					io.WriteString(w, `{"error":"try again"}`)
				}()
				inner.ServeHTTP(w, r)
			})
			server := httptest.NewUnstartedServer(recovering)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.Start()
			status, body := fetch(t, server.URL+"/route")
			server.Close()
			if status != test.answer {
				t.Errorf("answered %d, want %d", status, test.answer)
			}
			if test.answer == 503 && body != `{"error":"try again"}` {
				t.Errorf("the answer is %q", body)
			}
			s := tel.only(t, trace.SpanKindServer)
			if s.Status().Code != codes.Error || text(s, "error.type") != test.errorType || text(s, "http.response.status_code") != test.status {
				t.Errorf("span with %v, %v", s.Status(), s.Attributes())
			}
			if got := len(s.Events()) == 1; got != test.exception {
				t.Errorf("events %v", s.Events())
			}
			if s.Name() != "GET /route" {
				t.Errorf("the span is named %q", s.Name())
			}
			series := tel.series(t, "http.server.request.duration")
			if len(series) != 1 || setText(series[0], "error.type") != test.errorType || setText(series[0], "http.route") != "/route" {
				t.Errorf("series %v", series)
			}
		})
	}
}

// TestThePanicStackIsWhole looks for the function that panicked in what a
// recovery outside prints.
func TestThePanicStackIsWhole(t *testing.T) {
	tel := newTelemetry(t)
	h := tel.handler(http.HandlerFunc(panicsDeepInside))
	func() {
		defer func() {
			recover() //nolint:errcheck // known
			if stack := stackText(); !strings.Contains(stack, "panicsDeepInside") {
				t.Errorf("the stack is\n%s", stack)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/"))
	}()
}

// TestEndsWithoutAPanicValue is about a panic with nil, as GODEBUG still allows it,
// and about a goroutine that is ended.
func TestEndsWithoutAPanicValue(t *testing.T) {
	t.Setenv("GODEBUG", "panicnil=1")
	for name, end := range map[string]func(){"panic(nil)": func() { panic(nil) }, "Goexit": runtime.Goexit} {
		tel := newTelemetry(t)
		h := tel.handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { end() }))
		went := make(chan bool)
		go func() {
			returned := false
			defer func() {
				recover() //nolint:errcheck // there is no value
				went <- !returned
			}()
			h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/"))
			returned = true
		}()
		if !<-went {
			t.Errorf("%s did not go on", name)
		}
		if s := tel.only(t, trace.SpanKindServer); s.Status().Code != codes.Error || text(s, "error.type") == "" {
			t.Errorf("%s: span with %v, %v", name, s.Status(), s.Attributes())
		}
	}
}

func panicsDeepInside(http.ResponseWriter, *http.Request) { panic("no way out") }

// fetch returns status 0 if the answer does not arrive whole.
func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

func TestFilters(t *testing.T) {
	tel := newTelemetry(t)
	notHealth := clewhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" })
	inner := tel.handler(http.NotFoundHandler())
	h := tel.handler(inner, notHealth, clewhttp.WithFilter(nil), clewhttp.WithFilter(func(r *http.Request) bool { return r.Method != http.MethodHead }))
	for _, r := range []*http.Request{request(t, "GET", "/healthz"), request(t, "HEAD", "/"), request(t, "GET", "/")} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := len(tel.spans.Ended()); got != 1 {
		t.Errorf("%d spans, want 1", got)
	}
}

func TestTrust(t *testing.T) {
	for _, test := range []struct {
		name    string
		opts    []clewhttp.HandlerOption
		trusted bool
	}{
		{"by default", nil, true},
		{"trusted", []clewhttp.HandlerOption{clewhttp.WithTrust(func(*http.Request) bool { return true })}, true},
		{"not trusted", []clewhttp.HandlerOption{clewhttp.WithTrust(func(*http.Request) bool { return false })}, false},
		{"nil", []clewhttp.HandlerOption{clewhttp.WithTrust(nil)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tel := newTelemetry(t)
			h := tel.handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := baggage.FromContext(r.Context()).Len() == 1; got != test.trusted {
					t.Errorf("baggage in the handler: %v", got)
				}
			}), test.opts...)
			r := request(t, http.MethodGet, "/")
			r.Header.Set("Baggage", "user=root")
			r.Header.Set("X-Forwarded-For", "203.0.113.7, 10.0.0.1")
			h.ServeHTTP(httptest.NewRecorder(), r)
			s := tel.only(t, trace.SpanKindServer)
			if continued := s.SpanContext().TraceID().String() == callerTrace; continued != test.trusted {
				t.Errorf("continues the caller's trace: %v", continued)
			}
			if links := len(s.Links()) == 1; links == test.trusted {
				t.Errorf("%d links", len(s.Links()))
			}
			if forwarded := text(s, "client.address") == "203.0.113.7"; forwarded != test.trusted {
				t.Errorf("client.address is %q", text(s, "client.address"))
			}
		})
	}
}

// TestMetricsCannotBeBlinded sends what a caller may choose in thousands of
// spellings.
func TestMetricsCannotBeBlinded(t *testing.T) {
	tel := newTelemetry(t)
	h := tel.handler(http.NotFoundHandler())
	for i := range 3000 {
		n := strings.Repeat("x", i%50) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		r := request(t, http.MethodGet, "/"+n)
		r.Host, r.Method, r.ProtoMajor = n+".example", strings.ToUpper(n), i
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	series := tel.series(t, "http.server.request.duration")
	if len(series) > 5 {
		t.Errorf("%d series", len(series))
	}
	for _, s := range series {
		if setText(s, "server.address") != "" {
			t.Errorf("series %v", s)
		}
	}
}

func TestServerAddressIsOptIn(t *testing.T) {
	tel := newTelemetry(t)
	r := request(t, http.MethodGet, "http://shop.example:8080/")
	tel.handler(http.NotFoundHandler(), clewhttp.WithServerAddress()).ServeHTTP(httptest.NewRecorder(), r)
	s := tel.series(t, "http.server.request.duration")[0]
	if setText(s, "server.address") != "shop.example" || setText(s, "server.port") != "8080" {
		t.Errorf("series %v", s)
	}
}

// TestNilOptionsAreDefined calls each option that takes a function or an
// interface with nil.
func TestNilOptionsAreDefined(t *testing.T) {
	tel := newTelemetry(t)
	h := tel.handler(http.NotFoundHandler(), clewhttp.WithFilter(nil), clewhttp.WithSensitiveQuery(nil), clewhttp.WithTrust(nil), nil)
	h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/?token=abc"))
	s := tel.only(t, trace.SpanKindServer)
	if text(s, "url.query") != "token=REDACTED" || s.Parent().IsValid() {
		t.Errorf("span with %v, parent %v", s.Attributes(), s.Parent())
	}
	nothing := clewhttp.Handler(http.NotFoundHandler(), clewhttp.WithTracerProvider(nil), clewhttp.WithMeterProvider(nil), clewhttp.WithPropagator(nil))
	nothing.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/"))
}

// TestUnusualRequests are made by hand, as in tests and in other protocols.
func TestUnusualRequests(t *testing.T) {
	tel := newTelemetry(t)
	h := tel.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	for _, r := range []*http.Request{
		{},
		{Method: "GET"},
		{Host: "[::1", RemoteAddr: "@"},
		{Host: ":::", RemoteAddr: ":1"},
	} {
		h.ServeHTTP(httptest.NewRecorder(), r.WithContext(t.Context()))
	}
	if got := len(tel.spans.Ended()); got != 4 {
		t.Errorf("%d spans, want 4", got)
	}
}

func names(tel *telemetry) []string {
	var names []string
	for _, s := range tel.ofKind(trace.SpanKindServer) {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	return names
}

type contextKey struct{}

func withContext(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, true)))
	})
}
func stackText() string { return string(debug.Stack()) }
