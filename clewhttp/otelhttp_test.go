package clewhttp_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/clewtrace/clew/clewhttp"
)

// difference is an intended one: a key of what is recorded, the two values, and
// what the request has to be like. docs/http.md, "What differs from otelhttp",
// tells them to users. "*" stands for any value, "-" for none.
type difference struct {
	key, stock, clew string
	reason           string // Semantic Conventions 1.43.0, unless it says otherwise
}

var serverDifferences = []difference{
	{"url.query", "-", "*", "HTTP server span: conditionally required, if there is one"},
	{"url.full", "-", "*", "for readers; other instrumentations record it"},
	{"http.route", "-", "*", "HTTP server span: conditionally required, if available"},
	{"error.type", "-", "*", "HTTP server span: conditionally required, if the request failed"},
	{"network.protocol.version", "2.0", "2", "network.protocol.version: examples"},
	{"http.response.body.size", "*", "-", "the answer to HEAD has no body: RFC 9110, HEAD"},
	{"http.request.method", "GET", "_OTHER", "methods are case-sensitive: http.request.method, note"},
	{"http.request.method", "_OTHER", "QUERY", "http.request.method: QUERY is known"},
	{"http.request.method", "_OTHER", "GET", "net/http takes the empty method for GET"},
	{"http.request.method_original", "QUERY", "-", "http.request.method: QUERY is known"},
	{"name", "GET*", "HTTP*", "methods are case-sensitive: http.request.method, note"},
	{"name", "HTTP*", "QUERY*", "http.request.method: QUERY is known"},
	{"name", "HTTP*", "GET*", "net/http takes the empty method for GET"},
	{"name", "*", "*/*", "HTTP spans, name: also after a panic {method} {target}"},
	{"server.address", "", "-", "no value, no attribute"},
	{"status", "Error Invalid HTTP status code *", "Error invalid HTTP status *", "spelling"},
	{"status", "Unset ", "Error *", "HTTP spans, status: a panic and an abort failed"},
	{"http.response.status_code", "-", "*", "a panic ends before otelhttp records anything"},
	{"http.response.body.size", "-", "*", "a panic ends before otelhttp records anything"},
	{"http.request.body.size", "-", "*", "a panic ends before otelhttp records anything"},
	{"client.address", " *", "*", "list elements have optional whitespace: RFC 9110, lists"},
	{"metric server.address", "*", "-", "HTTP server metrics: opt-in"},
	{"metric server.port", "*", "-", "HTTP server metrics: opt-in"},
	{"metric network.protocol.name", "*", "-", "conditionally required, if not http"},
	{"metric network.protocol.version", "2.0", "2", "network.protocol.version: examples"},
	{"metric error.type", "-", "*", "HTTP server metrics: conditionally required, if the request failed"},
	{"metric http.request.method", "GET", "_OTHER", "methods are case-sensitive"},
	{"metric http.request.method", "_OTHER", "QUERY", "QUERY is known"},
	{"metric http.request.method", "_OTHER", "GET", "net/http takes the empty method for GET"},
	{"metric http.response.status_code", "*", "-", "a status that HTTP does not have makes no series"},
	{"metric http.request.method", "-", "*", "HTTP server metrics: also after a panic"},
	{"metric url.scheme", "-", "*", "HTTP server metrics: also after a panic"},
	{"metric network.protocol.version", "-", "*", "HTTP server metrics: also after a panic"},
	{"metric http.route", "-", "*", "HTTP server metrics: also after a panic"},
	{"metric http.response.status_code", "-", "*", "HTTP server metrics: also after a panic"},
}

var clientDifferences = []difference{
	{"name", "HTTP GET", "GET", "HTTP spans, name: {method}"},
	{"name", "HTTP POST", "POST", "HTTP spans, name: {method}"},
	{"name", "HTTP HEAD", "HEAD", "HTTP spans, name: {method}"},
	{"name", "HTTP *", "HTTP", "HTTP spans, name: HTTP for a method that is not known"},
	{"name", "HTTP *", "GET", "net/http takes the empty method for GET"},
	{"http.request.method", "GET", "_OTHER", "methods are case-sensitive"},
	{"http.request.method", "_OTHER", "GET", "net/http takes the empty method for GET"},
	{"metric http.request.method", "_OTHER", "GET", "net/http takes the empty method for GET"},
	{"server.port", "-", "*", "HTTP client span: required"},
	{"url.scheme", "-", "*", "HTTP client span: opt-in"},
	{"url.path", "-", "*", "for readers; other instrumentations record it"},
	{"url.full", "*", "*REDACTED*", "url.full: credentials are redacted"},
	{"network.protocol.version", "1.1", "-", "of the response; without one nothing is known"},
	{"network.protocol.version", "2.0", "2", "network.protocol.version: examples"},
	{"error.type", "*", "_OTHER", "a status that HTTP does not have makes no value of its own"},
	{"status", "Error Invalid HTTP status code *", "Error invalid HTTP status *", "spelling"},
	{"metric server.port", "-", "*", "HTTP client metrics: required"},
	{"metric error.type", "-", "*", "HTTP client metrics: conditionally required, if the request failed"},
	{"metric error.type", "*", "*", "the same value as on the span"},
	{"metric network.protocol.name", "*", "-", "conditionally required, if not http"},
	{"metric network.protocol.version", "2.0", "2", "network.protocol.version: examples"},
	{"metric network.protocol.version", "1.1", "-", "of the response; without one nothing is known"},
	{"metric http.request.method", "GET", "_OTHER", "methods are case-sensitive"},
	{"metric http.response.status_code", "*", "-", "a status that HTTP does not have makes no series"},
}

// matches compares with a pattern in which "*" stands for anything.
func matches(pattern, value string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == value
	}
	if value == "-" && pattern == "*" || !strings.HasPrefix(value, first) {
		return false
	}
	for value = value[len(first):]; ; value = value[1:] {
		if matches(rest, value) {
			return true
		}
		if value == "" {
			return false
		}
	}
}

// recordOf is all that was recorded of one request, by key.
func recordOf(t *testing.T, tel *telemetry, metric string) map[string]string {
	t.Helper()
	record := map[string]string{}
	note := func(prefix string, attrs []attribute.KeyValue) {
		for _, a := range attrs {
			record[prefix+string(a.Key)] = a.Value.String()
		}
	}
	ended := tel.spans.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans", len(ended))
	}
	s := ended[0]
	note("", s.Attributes())
	record["name"], record["kind"], record["parent"] = s.Name(), s.SpanKind().String(), s.Parent().SpanID().String()
	record["status"] = s.Status().Code.String() + " " + s.Status().Description
	for _, set := range tel.series(t, metric) {
		note("metric ", set.ToSlice())
	}
	return record
}

// compareRecords wants each difference to be an intended one, and marks that as
// seen.
func compareRecords(t *testing.T, stock, clew map[string]string, intended []difference, seen map[int]bool) {
	t.Helper()
	keys := slices.Collect(maps.Keys(stock))
	keys = append(keys, slices.Collect(maps.Keys(clew))...)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		a, b := "-", "-"
		if v, ok := stock[key]; ok {
			a = v
		}
		if v, ok := clew[key]; ok {
			b = v
		}
		if a == b {
			continue
		}
		i := slices.IndexFunc(intended, func(d difference) bool { return d.key == key && matches(d.stock, a) && matches(d.clew, b) })
		if i < 0 {
			t.Errorf("%s: otelhttp has %q, clewhttp %q", key, a, b)
			continue
		}
		seen[i] = true
	}
}

func allSeen(t *testing.T, intended []difference, seen map[int]bool) {
	t.Helper()
	for i, d := range intended {
		if !seen[i] {
			t.Errorf("no request shows the difference %+v", d)
		}
	}
}

func TestBesideOtelhttp(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
		io.WriteString(w, "hello")
	})
	for _, status := range []int{204, 302, 404, 500, 503, 799} {
		mux.HandleFunc(fmt.Sprintf("/status/%d", status), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("no way out") })
	mux.HandleFunc("/panic/late", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
		io.WriteString(w, "half")
		panic("no way out")
	})
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	seen, n := map[int]bool{}, 0
	for _, target := range []string{"/users/1", "/users/1?q=1&token=x", "/nowhere", "/status/204", "/status/302", "/status/404", "/status/500", "/status/503", "/status/799", "/panic", "/panic/late", "/abort"} {
		for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PROPFIND", "QUERY", "get", ""} {
			for _, set := range requestKinds {
				n++
				one := func(tel *telemetry, h http.Handler) map[string]string {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop.example:8080"+target, strings.NewReader("body"))
					r.Method = method
					r.Header.Set("Traceparent", "00-"+callerTrace+"-b7ad6b7169203331-01")
					set(r)
					func() {
						defer func() { recover() }() //nolint:errcheck // known
						h.ServeHTTP(httptest.NewRecorder(), r)
					}()
					return recordOf(t, tel, "http.server.request.duration")
				}
				stock, clew := newTelemetry(t), newTelemetry(t)
				compareRecords(t,
					one(stock, otelhttp.NewHandler(mux, "", otelhttp.WithTracerProvider(stock.tracers), otelhttp.WithMeterProvider(stock.meters), otelhttp.WithPropagators(stock.w3c))),
					one(clew, clew.handler(mux)), serverDifferences, seen)
			}
		}
	}
	t.Logf("%d requests", n)
	allSeen(t, serverDifferences, seen)
}

// requestKinds vary what is not the method or the target.
var requestKinds = []func(*http.Request){
	func(*http.Request) {},
	func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0 },
	func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0 },
	func(r *http.Request) { r.Host, r.RemoteAddr = "[2001:db8::1]:8443", "[2001:db8::2]:4321" },
	func(r *http.Request) { r.Host, r.RemoteAddr = "shop.example", "10.1.2.3:80" },
	func(r *http.Request) { r.Host, r.RemoteAddr = "[::1", "@" },
	func(r *http.Request) { r.Host = "h:port" },
	func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7, 10.0.0.1") },
	func(r *http.Request) { r.Header.Set("X-Forwarded-For", " 203.0.113.7") },
	func(r *http.Request) { r.Header.Set("User-Agent", "test/1.0") },
	func(r *http.Request) { r.Body = http.NoBody },
}

func TestBesideOtelhttpTransport(t *testing.T) {
	seen, n := map[int]bool{}, 0
	for _, url := range []string{"http://shop.example:8080/a?b=c", "https://shop.example/", "http://[2001:db8::1]/x", "http://h/?token=abc", "http://u:p@h:81/"} {
		for _, method := range []string{"GET", "POST", "HEAD", "PROPFIND", "get", ""} {
			for _, status := range []int{200, 204, 302, 404, 500, 799, 0} {
				for _, major := range []int{1, 2} {
					n++
					answer := roundTripper(func(r *http.Request) (*http.Response, error) {
						if status == 0 {
							return nil, fmt.Errorf("no way out: %w", io.ErrUnexpectedEOF)
						}
						minor := 2 - major
						return &http.Response{
							StatusCode: status, Proto: fmt.Sprintf("HTTP/%d.%d", major, minor), ProtoMajor: major, ProtoMinor: minor,
							Body: io.NopCloser(strings.NewReader("hello")), Request: r,
						}, nil
					})
					one := func(tel *telemetry, rt http.RoundTripper) map[string]string {
						r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader("body"))
						if err != nil {
							t.Fatal(err)
						}
						r.Method = method
						resp, err := rt.RoundTrip(r)
						if err == nil {
							io.Copy(io.Discard, resp.Body) //nolint:errcheck // a test
							resp.Body.Close()
						}
						r.Body.Close()
						return recordOf(t, tel, "http.client.request.duration")
					}
					stock, clew := newTelemetry(t), newTelemetry(t)
					closing := roundTripper(func(r *http.Request) (*http.Response, error) {
						defer r.Body.Close() // otelhttp waits for it with its metrics
						return answer(r)
					})
					compareRecords(t,
						one(stock, otelhttp.NewTransport(closing, otelhttp.WithTracerProvider(stock.tracers), otelhttp.WithMeterProvider(stock.meters), otelhttp.WithPropagators(stock.w3c))),
						one(clew, clewhttp.Transport(closing, clewhttp.WithTracerProvider(clew.tracers), clewhttp.WithMeterProvider(clew.meters), clewhttp.WithPropagator(clew.w3c))),
						clientDifferences, seen)
				}
			}
		}
	}
	t.Logf("%d requests", n)
	allSeen(t, clientDifferences, seen)
}
