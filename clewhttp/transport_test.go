package clewhttp_test

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/propagator/trust"
)

// base is a transport of a test's own.
func base(t *testing.T) *http.Transport {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// send returns the request that the response is said to be for.
func send(t *testing.T, rt http.RoundTripper, method, url string) (of *http.Request) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // a test
	resp.Body.Close()
	return resp.Request
}

func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusBadRequest)
		}
		io.WriteString(w, "hello")
	}))
	defer server.Close()
	for _, test := range []struct {
		method, path, name, known, original, status, failure string
		code                                                 codes.Code
	}{
		{"GET", "/path?token=abc", "GET", "GET", "", "200", "", codes.Unset},
		{"", "/", "GET", "GET", "", "200", "", codes.Unset},
		{"PROPFIND", "/", "HTTP", "_OTHER", "PROPFIND", "200", "", codes.Unset},
		{"get", "/", "HTTP", "_OTHER", "get", "200", "", codes.Unset},
		{"POST", "/bad", "POST", "POST", "", "400", "400", codes.Error},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			tel := newTelemetry(t)
			of := send(t, tel.transport(base(t)), test.method, server.URL+test.path)
			if len(of.Header) != 0 {
				t.Error("the response is for another request")
			}
			s := tel.only(t, trace.SpanKindClient)
			for key, got := range map[string][2]string{
				"name":                         {s.Name(), test.name},
				"http.request.method":          {text(s, "http.request.method"), test.known},
				"http.request.method_original": {text(s, "http.request.method_original"), test.original},
				"http.response.status_code":    {text(s, "http.response.status_code"), test.status},
				"error.type":                   {text(s, "error.type"), test.failure},
				"url.full":                     {text(s, "url.full"), server.URL + strings.Replace(test.path, "abc", "REDACTED", 1)},
			} {
				if got[0] != got[1] {
					t.Errorf("%s is %q, want %q", key, got[0], got[1])
				}
			}
			if s.Status().Code != test.code {
				t.Errorf("status %v", s.Status())
			}
			if series := tel.series(t, "http.client.request.duration"); len(series) != 1 || setText(series[0], "error.type") != test.failure {
				t.Errorf("series %v", series)
			}
		})
	}
}

func TestFailedRequests(t *testing.T) {
	tel := newTelemetry(t)
	failure := errors.New("no way to http://user:secret@host/")
	_, err := tel.transport(answering(nil, failure)).RoundTrip(request(t, "GET", "http://host/")) //nolint:bodyclose // fails
	if err != failure {                                                                           //nolint:errorlint // itself
		t.Errorf("the error is %v", err)
	}
	s := tel.only(t, trace.SpanKindClient)
	if s.Status().Code != codes.Error || text(s, "error.type") != "*errors.errorString" || strings.Contains(s.Status().Description, "secret") {
		t.Errorf("span with %v, %v", s.Status(), s.Attributes())
	}
	if series := tel.series(t, "http.client.request.duration"); setText(series[0], "error.type") != "*errors.errorString" {
		t.Errorf("series %v", series)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(resp *http.Response, err error) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) { return resp, err })
}

// TestOneClientSpan stacks transports, whatever the propagator writes.
func TestOneClientSpan(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	all, err := trust.ParseHosts("*")
	if err != nil {
		t.Fatal(err)
	}
	cloning := func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.Header = http.Header{}
			r.URL.RawQuery = "signature=1"
			return next.RoundTrip(r)
		})
	}
	for name, stack := range map[string]func(*telemetry) http.RoundTripper{
		"one":     func(tel *telemetry) http.RoundTripper { return tel.transport(base(t)) },
		"two":     func(tel *telemetry) http.RoundTripper { return tel.transport(tel.transport(base(t))) },
		"a clone": func(tel *telemetry) http.RoundTripper { return tel.transport(cloning(tel.transport(base(t)))) },
		"trust.Transport": func(tel *telemetry) http.RoundTripper {
			return tel.transport(trust.Transport(tel.transport(base(t)), all))
		},
		"withheld": func(tel *telemetry) http.RoundTripper {
			return tel.transport(trust.Transport(tel.transport(base(t)), trust.Hosts{}))
		},
		"WithHosts": func(tel *telemetry) http.RoundTripper {
			return tel.transport(tel.transport(base(t)), clewhttp.WithHosts(trust.Hosts{}))
		},
		"otelhttp": func(tel *telemetry) http.RoundTripper {
			return otelhttp.NewTransport(tel.transport(base(t)), otelhttp.WithTracerProvider(tel.tracers))
		},
		"otelhttp, a clone": func(tel *telemetry) http.RoundTripper {
			return otelhttp.NewTransport(cloning(tel.transport(base(t))), otelhttp.WithTracerProvider(tel.tracers))
		},
	} {
		for _, none := range []bool{false, true} {
			tel := newTelemetry(t)
			if none {
				tel.w3c = trust.Propagator(nil)
			}
			send(t, stack(tel), http.MethodGet, server.URL)
			if n := len(tel.ofKind(trace.SpanKindClient)); n != 1 {
				t.Errorf("%s: %d client spans", name, n)
			}
		}
	}
}

// TestAnotherRequestWithinOne has a transport fetch a token for the request that
// it is to send.
func TestAnotherRequestWithinOne(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, outer := range []string{"clewhttp", "otelhttp"} {
		tel := newTelemetry(t)
		inner := tel.transport(base(t))
		authorizing := roundTripper(func(r *http.Request) (*http.Response, error) {
			token, err := http.NewRequestWithContext(r.Context(), http.MethodPost, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)+"/token", http.NoBody)
			if err != nil {
				return nil, err
			}
			resp, err := inner.RoundTrip(token)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			return inner.RoundTrip(r)
		})
		rt := tel.transport(authorizing)
		if outer == "otelhttp" {
			rt = otelhttp.NewTransport(authorizing, otelhttp.WithTracerProvider(tel.tracers))
		}
		send(t, rt, http.MethodGet, server.URL+"/data")
		if n := len(tel.ofKind(trace.SpanKindClient)); n != 2 {
			t.Errorf("%s: %d client spans, want that of the token and that of the data", outer, n)
		}
	}
}

// TestTheRequestStaysItself is about what others find in a request, and set in it
// while it is sent.
func TestTheRequestStaysItself(t *testing.T) {
	var got *http.Request
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got, body = r, string(b)
	}))
	defer server.Close()
	tel := newTelemetry(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Traceparent", "00-"+callerTrace+"-b7ad6b7169203331-01") // injected by hand
	r.Trailer = http.Header{"X-Sum": nil}
	own := &settingTrailer{Reader: strings.NewReader("hello"), set: func() { r.Trailer.Set("X-Sum", "42") }}
	r.Body = own
	var sent *http.Request
	resp, err := tel.transport(roundTripper(func(r *http.Request) (*http.Response, error) {
		sent = r
		return base(t).RoundTrip(r)
	})).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if body != "hello" || got.Trailer.Get("X-Sum") != "42" {
		t.Errorf("body %q, trailer %v", body, got.Trailer)
	}
	if sent.Body != io.ReadCloser(own) || sent.URL != r.URL {
		t.Error("the body or the URL is another one")
	}
	s := tel.only(t, trace.SpanKindClient)
	if !strings.Contains(got.Header.Get("Traceparent"), s.SpanContext().SpanID().String()) {
		t.Errorf("sent %q", got.Header.Get("Traceparent"))
	}
	if len(r.Header) != 1 || !strings.Contains(r.Header.Get("Traceparent"), callerTrace) {
		t.Errorf("the caller's header became %v", r.Header)
	}
}

type settingTrailer struct {
	io.Reader
	set func()
}

func (b *settingTrailer) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		b.set()
	}
	return n, err
}

func (*settingTrailer) Close() error { return nil }

func TestCancelRequest(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(held)
	tel := newTelemetry(t)
	rt := tel.transport(base(t))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rt.(interface{ CancelRequest(*http.Request) }).CancelRequest(r)
	if _, err := io.ReadAll(resp.Body); err == nil || !strings.Contains(err.Error(), "request canceled") {
		t.Errorf("reading ended with %v", err)
	}
	if s := tel.only(t, trace.SpanKindClient); s.Status().Code != codes.Error {
		t.Errorf("status %v", s.Status())
	}
}

func TestUpgradedBodyCanBeWritten(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(upgrade))
	defer server.Close()
	tel := newTelemetry(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := tel.transport(base(t)).RoundTrip(r) //nolint:bodyclose // closed as conn
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := resp.Body.(io.ReadWriteCloser)
	if _, closes := resp.Body.(interface{ CloseWrite() error }); !ok || !closes {
		t.Fatalf("the body is a %T", resp.Body)
	}
	io.WriteString(conn, "ping") //nolint:errcheck // the answer tells
	answer, err := io.ReadAll(conn)
	conn.Close()
	if string(answer) != "ping" || err != nil {
		t.Errorf("answered %q, %v", answer, err)
	}
	tel.only(t, trace.SpanKindClient)
}

// TestTheSpanEndsWithTheBody also when nobody reads it.
func TestTheSpanEndsWithTheBody(t *testing.T) {
	tel := newTelemetry(t)
	for _, body := range []io.ReadCloser{nil, http.NoBody, io.NopCloser(strings.NewReader("x"))} {
		resp, err := tel.transport(answering(&http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Body: body}, nil)).RoundTrip(request(t, "GET", "http://host/"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body != nil {
			resp.Body.Close()
			resp.Body.Close()
		}
	}
	if n := len(tel.ofKind(trace.SpanKindClient)); n != 3 {
		t.Errorf("%d spans have ended, want 3", n)
	}
}

// TestBasesThatDoOddThings get their way.
func TestBasesThatDoOddThings(t *testing.T) {
	tel := newTelemetry(t)
	if resp, err := tel.transport(answering(nil, nil)).RoundTrip(request(t, "GET", "http://host/")); resp != nil || err != nil { //nolint:bodyclose // there is none
		t.Errorf("answered %v, %v", resp, err)
	}
	func() {
		defer func() {
			if v := recover(); v != "no way out" {
				t.Errorf("the panic went on as %v", v)
			}
		}()
		tel.transport(roundTripper(func(*http.Request) (*http.Response, error) { panic("no way out") })).RoundTrip(request(t, "GET", "http://host/")) //nolint:errcheck,bodyclose // panics
	}()
	for _, s := range tel.ofKind(trace.SpanKindClient) {
		if s.Status().Code != codes.Error || text(s, "error.type") == "" {
			t.Errorf("span with %v, %v", s.Status(), s.Attributes())
		}
	}
	_, err := tel.transport(base(t)).RoundTrip((&http.Request{}).WithContext(t.Context())) //nolint:bodyclose // fails
	if err == nil || !strings.Contains(err.Error(), "nil Request.URL") {
		t.Errorf("error %v", err)
	}
}

// TestMultipartFilesAreRemoved as net/http does it after the request.
func TestMultipartFilesAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	upload := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		files, _ := os.ReadDir(os.TempDir())
		if len(files) == 0 {
			t.Error("no file was made")
		}
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
	})
	tel := newTelemetry(t)
	for name, h := range map[string]http.Handler{
		"Handler":       tel.handler(upload),
		"nested":        tel.handler(clewhttp.Route(tel.handler(upload))),
		"WithTrust":     tel.handler(upload, clewhttp.WithTrust(nil)),
		"trust.Handler": trust.Handler(tel.handler(upload), nil),
		"left out":      tel.handler(upload, clewhttp.WithFilter(func(*http.Request) bool { return false })),
	} {
		server := httptest.NewServer(h)
		var form strings.Builder
		w := multipart.NewWriter(&form)
		part, _ := w.CreateFormFile("file", "name")
		io.WriteString(part, strings.Repeat("x", 1<<16)) //nolint:errcheck // a builder
		w.Close()                                        //nolint:errcheck // a builder
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(form.String()))
		r.Header.Set("Content-Type", w.FormDataContentType())
		resp, err := base(t).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		server.Close()
		if files, _ := os.ReadDir(os.TempDir()); len(files) != 0 {
			t.Errorf("%s: %d files are left", name, len(files))
		}
	}
}

// TestGlobalProvidersMayChange uses a handler that was made before, as one that
// outlives the Shutdown of an SDK and the start of the next does.
func TestGlobalProvidersMayChange(t *testing.T) {
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	defer func() {
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
	}()
	h := clewhttp.Handler(http.NotFoundHandler())
	for range 2 {
		tel := newTelemetry(t)
		otel.SetTracerProvider(tel.tracers)
		otel.SetMeterProvider(tel.meters)
		h.ServeHTTP(httptest.NewRecorder(), request(t, "GET", "/"))
		tel.only(t, trace.SpanKindServer)
		if n := len(tel.series(t, "http.server.request.duration")); n != 1 {
			t.Errorf("%d series", n)
		}
	}
}
