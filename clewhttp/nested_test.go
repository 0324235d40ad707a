package clewhttp_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
)

// buffering is a writer that does not lead to the one that it stands for.
type buffering struct{ http.ResponseWriter }

// middlewares hand on another request, or another writer.
var middlewares = map[string]func(http.Handler) http.Handler{
	"none":      func(next http.Handler) http.Handler { return next },
	"a context": withContext,
	"a clone": func(next http.Handler) http.Handler {
		return changing(next, func(r *http.Request) *http.Request { return r.Clone(r.Context()) })
	},
	"http.StripPrefix": func(next http.Handler) http.Handler { return http.StripPrefix("/v1", next) },
	"MaxBytesHandler":  func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 1<<20) },
	"a timeout":        func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Minute, "") },
	"another request line": func(next http.Handler) http.Handler {
		return changing(next, func(r *http.Request) *http.Request {
			r = r.Clone(r.Context())
			r.RequestURI = "/rewritten"
			return r
		})
	},
	"a header map of its own, a buffer and a context": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = r.Clone(r.Context())
			r.Header = http.Header{"X": r.Header["X"]}
			withContext(next).ServeHTTP(buffering{w}, r)
		})
	},
	"a wrapped body": func(next http.Handler) http.Handler {
		return changing(next, func(r *http.Request) *http.Request {
			r = r.WithContext(r.Context())
			r.Body = http.MaxBytesReader(nil, r.Body, 1)
			return r
		})
	},
}

func changing(next http.Handler, change func(*http.Request) *http.Request) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, change(r)) })
}

// TestOneServerSpanWithTheRoute nests Handler and Route, with a middleware
// between them, over real connections.
func TestOneServerSpanWithTheRoute(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /v1/users/{id}", func(http.ResponseWriter, *http.Request) {})
	for name, middleware := range middlewares {
		for inner, wrap := range map[string]func(*telemetry) http.Handler{
			"Route":      func(*telemetry) http.Handler { return clewhttp.Route(mux) },
			"Handler":    func(tel *telemetry) http.Handler { return tel.handler(mux) },
			"SetPattern": func(*telemetry) http.Handler { return settingPattern(mux) },
		} {
			t.Run(name+", "+inner, func(t *testing.T) {
				tel := newTelemetry(t)
				server := httptest.NewServer(tel.handler(middleware(wrap(tel))))
				if status, _ := fetch(t, server.URL+"/v1/users/42"); status != 200 {
					t.Errorf("status %d", status)
				}
				server.Close()
				want := "/v1/users/{id}"
				if name == "http.StripPrefix" {
					want = "/users/{id}"
				}
				if got := names(tel); !slices.Equal(got, []string{"GET " + want}) {
					t.Errorf("server spans %q", got)
				}
				series := tel.series(t, "http.server.request.duration")
				if len(series) != 1 || setText(series[0], "http.route") != want {
					t.Errorf("series %v", series)
				}
			})
		}
	}
}

// settingPattern is a router that does not set the pattern in time, and a
// middleware of it that does.
func settingPattern(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, pattern := mux.Handler(r)
		clewhttp.SetPattern(r, pattern)
		mux.ServeHTTP(w, r.Clone(r.Context()))
	})
}

// TestAnotherRequestIsAnother makes requests in the context of the one that is
// served, to handlers in this process.
func TestAnotherRequestIsAnother(t *testing.T) {
	tel := newTelemetry(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(http.ResponseWriter, *http.Request) {})
	backend := tel.handler(mux)
	for name, call := range map[string]func(*http.Request){
		"recorded": func(r *http.Request) {
			inner := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/users/1", http.NoBody)
			backend.ServeHTTP(httptest.NewRecorder(), inner)
		},
		"made by hand": func(r *http.Request) {
			inner, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "/users/1", http.NoBody)
			if err != nil {
				t.Error(err)
			}
			backend.ServeHTTP(httptest.NewRecorder(), inner)
		},
		"sent on by a traced client": func(r *http.Request) {
			inner := r.Clone(r.Context())
			inner.URL.Path = "/users/1"
			resp, err := tel.transport(inProcess{backend}).RoundTrip(inner)
			if err != nil {
				t.Error(err)
			}
			resp.Body.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			tel.spans.Reset()
			front := http.NewServeMux()
			front.HandleFunc("GET /calls", func(_ http.ResponseWriter, r *http.Request) { call(r) })
			tel.handler(front).ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/calls"))
			if got := names(tel); !slices.Equal(got, []string{"GET /calls", "GET /users/{id}"}) {
				t.Errorf("server spans %q", got)
			}
		})
	}
}

// inProcess is a transport that serves.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// TestTimeoutHandlerHasNoRace lets the handler inside go on, read and write after
// the answer. Its assertions are those of the race detector.
func TestTimeoutHandlerHasNoRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := newTelemetry(t)
		mux := http.NewServeMux()
		mux.HandleFunc("POST /slow", func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			r.Body.Read(make([]byte, 10)) //nolint:errcheck // whatever comes
			clewhttp.SetPattern(r, "/slower")
			w.WriteHeader(http.StatusTeapot)
		})
		h := tel.handler(http.TimeoutHandler(clewhttp.Route(mux), time.Second, "too slow"))
		r := request(t, http.MethodPost, "/slow")
		r.Body = http.MaxBytesReader(nil, http.NoBody, 1)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || text(tel.only(t, trace.SpanKindServer), "http.response.status_code") != "503" {
			t.Errorf("answered %d, span %v", w.Code, tel.spans.Ended())
		}
		time.Sleep(2 * time.Second)
	})
}

// TestThePatternReachesMiddlewareOutside is about access logs.
func TestThePatternReachesMiddlewareOutside(t *testing.T) {
	tel := newTelemetry(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(http.ResponseWriter, *http.Request) {})
	for _, opts := range [][]clewhttp.HandlerOption{nil, {clewhttp.WithTrust(nil)}, {clewhttp.WithFilter(func(*http.Request) bool { return false })}} {
		r := request(t, http.MethodGet, "/users/1")
		tel.handler(mux, opts...).ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != "GET /users/{id}" {
			t.Errorf("the pattern is %q", r.Pattern)
		}
	}
}

// TestInnermostRoute is about muxes within muxes.
func TestInnermostRoute(t *testing.T) {
	tel := newTelemetry(t)
	inner := http.NewServeMux()
	inner.HandleFunc("GET /api/users/{id}", func(http.ResponseWriter, *http.Request) {})
	outer := http.NewServeMux()
	outer.Handle("/api/", withContext(clewhttp.Route(inner)))
	outer.Handle("/", http.NotFoundHandler())
	h := tel.handler(withContext(clewhttp.Route(outer)))
	h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/api/users/1"))
	h.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodGet, "/api/nothing"))
	if got := strings.Join(names(tel), ", "); got != "GET /api/, GET /api/users/{id}" {
		t.Errorf("server spans %s", got)
	}
}
