package otelsetup_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator/trust"
)

type headerCarrier = propagation.HeaderCarrier

func attribute(s otlpreceiver.Span, key string) string {
	return otlpreceiver.Attribute(s.GetAttributes(), key).GetStringValue()
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

	for _, test := range []struct {
		request, name, route string
		status               int64
		code                 tracepb.Status_StatusCode
	}{
		{"GET http://localhost/users/42?q=1", "GET /users/{id}", "/users/{id}", 200, 0},
		{"GET http://example.com/host", "GET /host", "/host", 200, 0},
		{"GET http://localhost/nowhere", "GET", "", 404, 0},
		{"POST http://localhost/users/42", "POST", "", 405, 0},
		{"GET http://localhost/fails", "GET /fails", "/fails", 500, tracepb.Status_STATUS_CODE_ERROR},
		{"GET http://localhost/bad", "GET /bad", "/bad", 400, 0},
	} {
		t.Run(test.request, func(t *testing.T) {
			store, _, flush := start(t)
			method, url, _ := strings.Cut(test.request, " ")
			handler := otelsetup.Handler(mux)
			req := httptest.NewRequestWithContext(t.Context(), method, url, http.NoBody)
			req.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
			handler.ServeHTTP(httptest.NewRecorder(), req)
			flush()
			if len(store.Spans()) != 1 {
				t.Fatalf("%d spans, want 1", len(store.Spans()))
			}
			s := store.Spans()[0]
			if s.GetName() != test.name || s.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
				t.Errorf("span %q of kind %v, want %q", s.GetName(), s.GetKind(), test.name)
			}
			if got := attribute(s, "http.route"); got != test.route {
				t.Errorf("http.route %q, want %q", got, test.route)
			}
			if got := attribute(s, "url.full"); got != url {
				t.Errorf("url.full %q, want %q", got, url)
			}
			if got := otlpreceiver.Attribute(s.GetAttributes(), "http.response.status_code").GetIntValue(); got != test.status {
				t.Errorf("http.response.status_code %d, want the integer %d", got, test.status)
			}
			if got := s.GetStatus().GetCode(); got != test.code {
				t.Errorf("status %v, want %v", got, test.code)
			}
			if !bytes.Equal(s.GetParentSpanId(), []byte("\xb7\xad\x6b\x71\x69\x20\x33\x31")) {
				t.Errorf("parent %x is not the caller's", s.GetParentSpanId())
			}
		})
	}
}

func TestHandlerPanic(t *testing.T) {
	store, _, flush := start(t)
	handler := otelsetup.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("no way out") }))
	func() {
		defer func() {
			if v := recover(); v != "no way out" {
				t.Errorf("the panic went on as %v", v)
			}
		}()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
	}()
	flush()
	s := store.Spans()[0]
	if s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || !hasException(s, "no way out") {
		t.Errorf("the panic is not recorded: %v", s.Span)
	}
	if logs := store.Logs(); len(logs) != 1 || !bytes.Equal(logs[0].GetSpanId(), s.GetSpanId()) {
		t.Errorf("the panic is not logged inside the span: %v", logs)
	}
}

// TestNestedHandler is about middleware that hides the pattern of the mux, and
// about a request that a handler makes to another one in the same process.
func TestNestedHandler(t *testing.T) {
	type key struct{}
	withContext := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := otel.Tracer("test").Start(context.WithValue(r.Context(), key{}, true), "middleware")
			defer span.End()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /panics", func(http.ResponseWriter, *http.Request) { panic("no way out") })
	mux.HandleFunc("GET /calls", func(_ http.ResponseWriter, r *http.Request) {
		inner := httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/users/1", http.NoBody)
		otelsetup.Handler(mux).ServeHTTP(httptest.NewRecorder(), inner)
	})
	for _, test := range []struct {
		path string
		want []string
	}{
		{"/users/42", []string{"GET /users/{id}"}},
		{"/nowhere", []string{"GET"}},
		{"/panics", []string{"GET /panics"}},
		{"/calls", []string{"GET /users/{id}", "GET /calls"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			store, _, flush := start(t)
			handler := otelsetup.Handler(withContext(otelsetup.Handler(mux)))
			func() {
				defer func() { recover() }() //nolint:errcheck // one of the handlers panics
				handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, http.NoBody))
			}()
			flush()
			var names []string
			for _, s := range store.Spans() {
				if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER {
					names = append(names, s.GetName())
				}
			}
			if !slices.Equal(names, test.want) {
				t.Errorf("server spans %q, want %q", names, test.want)
			}
			for _, m := range store.Metrics() {
				if m.GetName() != "http.server.request.duration" {
					continue
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					route := otlpreceiver.Attribute(p.GetAttributes(), "http.route").GetStringValue()
					if want := strings.TrimPrefix(strings.TrimPrefix(test.want[len(test.want)-1], "GET"), " "); len(test.want) == 1 && route != want {
						t.Errorf("the metric has route %q, want %q", route, want)
					}
				}
			}
		})
	}
}

func TestFilter(t *testing.T) {
	store, _, flush := start(t)
	handler := otelsetup.Handler(http.NotFoundHandler(), otelsetup.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	for _, path := range []string{"/healthz", "/"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	}
	flush()
	if got := len(store.Spans()); got != 1 {
		t.Errorf("%d spans, want 1", got)
	}
}

// TestHeaderNamesOnTheWire reads what a server gets, byte for byte.
func TestHeaderNamesOnTheWire(t *testing.T) {
	start(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	lines := make(chan []string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var got []string
		for scanner := bufio.NewScanner(conn); scanner.Scan() && scanner.Text() != ""; {
			got = append(got, scanner.Text())
		}
		fmt.Fprint(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		lines <- got
	}()

	member, err := baggage.NewMember("user", "alice")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx := baggage.ContextWithBaggage(parent(t, "01"), bag)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-11111111111111111111111111111111-1111111111111111-01") // copied from another request
	req.Header["traceparent"] = []string{"00-22222222222222222222222222222222-2222222222222222-01"}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()

	counts := map[string]int{}
	for _, line := range <-lines {
		name, value, _ := strings.Cut(line, ": ")
		counts[name]++
		if name == "traceparent" && !strings.HasPrefix(value, "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("sent traceparent %s", value)
		}
	}
	for name, want := range map[string]int{"traceparent": 1, "Traceparent": 0, "baggage": 1, "Baggage": 0} {
		if counts[name] != want {
			t.Errorf("%s was sent %d times, want %d: %v", name, counts[name], want, counts)
		}
	}
}

// get returns the major version of the protocol that answered.
func get(ctx context.Context, t *testing.T, client *http.Client, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // a test
	resp.Body.Close()
	return resp.ProtoMajor
}

func TestDefaultTransport(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, test := range []struct {
		name   string
		opts   []otelsetup.Option
		client func() *http.Client
		spans  int
	}{
		{"http.DefaultClient", nil, func() *http.Client { return http.DefaultClient }, 1},
		{"a client without a transport", nil, func() *http.Client { return &http.Client{} }, 1},
		{"a client with otelsetup.Transport", nil, func() *http.Client { return &http.Client{Transport: otelsetup.Transport(nil)} }, 1},
		{"a client with otelsetup.Transport over a wrapper", nil, func() *http.Client {
			return &http.Client{Transport: otelsetup.Transport(wrapper{http.DefaultTransport})}
		}, 1},
		{"a client that another library traces", nil, func() *http.Client { return &http.Client{Transport: otelhttp.NewTransport(nil)} }, 1},
		{"a transport of its own", nil, func() *http.Client { return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} }, 0},
		{
			"WithoutDefaultTransport",
			[]otelsetup.Option{otelsetup.WithoutDefaultTransport()},
			func() *http.Client { return http.DefaultClient },
			0,
		},
		{
			"WithoutDefaultTransport, with otelsetup.Transport",
			[]otelsetup.Option{otelsetup.WithoutDefaultTransport()},
			func() *http.Client { return &http.Client{Transport: otelsetup.Transport(nil)} },
			1,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, _, flush := start(t, test.opts...)
			ctx, span := otel.Tracer("test").Start(t.Context(), "work")
			get(ctx, t, test.client(), server.URL+"/path")
			span.End()
			flush()
			var clients []otlpreceiver.Span
			for _, s := range store.Spans() {
				if s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
					clients = append(clients, s)
				}
			}
			if len(clients) != test.spans {
				t.Fatalf("%d client spans, want %d", len(clients), test.spans)
			}
			get(t.Context(), t, http.DefaultClient, server.URL) // after Shutdown: works, and is not traced
			http.DefaultClient.CloseIdleConnections()
		})
	}
	if _, ok := http.DefaultTransport.(*http.Transport); !ok {
		t.Errorf("http.DefaultTransport became a %T", http.DefaultTransport)
	}
}

type wrapper struct{ http.RoundTripper }

func TestDefaultTransportKeepsHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	http.DefaultTransport = original.(*http.Transport).Clone()

	store, _, flush := start(t)
	// A program may change the transport after Start, before its first request.
	http.DefaultTransport.(*http.Transport).TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	major := get(t.Context(), t, http.DefaultClient, server.URL)
	http.DefaultClient.CloseIdleConnections()
	flush()
	if major != 2 {
		t.Errorf("the request went over HTTP/%d, want HTTP/2", major)
	}
	if len(store.Spans()) != 1 {
		t.Errorf("%d spans, want 1", len(store.Spans()))
	}
}

func TestDefaultTransportUsedBefore(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	original := http.DefaultTransport
	defer func() { http.DefaultTransport = original }()
	http.DefaultTransport = original.(*http.Transport).Clone()
	get(t.Context(), t, http.DefaultClient, server.URL)
	http.DefaultClient.CloseIdleConnections()

	store, _, flush := start(t)
	get(t.Context(), t, http.DefaultClient, server.URL)
	http.DefaultClient.CloseIdleConnections()
	flush()
	if len(store.Spans()) != 1 {
		t.Errorf("%d spans, want 1", len(store.Spans()))
	}
}

func TestTrust(t *testing.T) {
	const callerTrace = "0af7651916cd43dd84ffffffffffffff"
	for _, trusted := range []bool{true, false} {
		t.Run(strconv.FormatBool(trusted), func(t *testing.T) {
			store, _, flush := start(t)
			inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if got := baggage.FromContext(r.Context()).Len() == 1; got != trusted {
					t.Errorf("baggage in the handler: %v", got)
				}
				_, child := otel.Tracer("test").Start(r.Context(), "child")
				child.End()
			})
			handler := otelsetup.Handler(inner, otelsetup.WithTrust(func(*http.Request) bool { return trusted }))
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.Header.Set("traceparent", "00-"+callerTrace+"-b7ad6b7169203331-01")
			r.Header.Set("tracestate", "ot=th:ffffffffffffff")
			r.Header.Set("baggage", "user=root")
			handler.ServeHTTP(httptest.NewRecorder(), r)
			flush()
			links := 0
			for _, s := range store.Spans() {
				if continued := hex.EncodeToString(s.GetTraceId()) == callerTrace; continued != trusted {
					t.Errorf("%s continues the caller's trace: %v", s.GetName(), continued)
				}
				if s.GetKind() == tracepb.Span_SPAN_KIND_SERVER && !trusted && s.GetTraceState() != "" {
					t.Errorf("tracestate %q", s.GetTraceState())
				}
				links += len(s.GetLinks())
			}
			if want := map[bool]int{true: 0, false: 1}[trusted]; links != want {
				t.Errorf("%d links to the caller, want %d", links, want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	received := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { received <- r.Header }))
	defer server.Close()
	for _, test := range []struct {
		host string
		sent bool
	}{{"127.0.0.1", true}, {"*.internal.example", false}} {
		hosts, err := trust.ParseHosts(test.host)
		if err != nil {
			t.Fatal(err)
		}
		for name, client := range map[string]*http.Client{
			"Start": http.DefaultClient,
			"another library over http.DefaultTransport": {Transport: otelhttp.NewTransport(trust.Transport(http.DefaultTransport, hosts))},
			"Transport": {Transport: otelsetup.Transport(&http.Transport{DisableKeepAlives: true}, otelsetup.WithHosts(hosts))},
		} {
			t.Run(name+" "+test.host, func(t *testing.T) {
				var startOptions []otelsetup.Option
				if name == "Start" {
					startOptions = append(startOptions, otelsetup.WithHosts(hosts))
				}
				store, _, flush := start(t, startOptions...)
				get(t.Context(), t, client, server.URL)
				http.DefaultClient.CloseIdleConnections()
				if got := (<-received).Get("traceparent") != ""; got != test.sent {
					t.Errorf("traceparent sent: %v, want %v", got, test.sent)
				}
				flush()
				if len(store.Spans()) == 0 {
					t.Error("no client span")
				}
			})
		}
	}
}
