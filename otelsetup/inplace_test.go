package otelsetup_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"golang.org/x/net/http2"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator/trust"
)

// freshTransport makes http.DefaultTransport, for this test, what it is in a
// program that has sent nothing yet.
func freshTransport(t *testing.T) *http.Transport {
	t.Helper()
	original := http.DefaultTransport
	fresh := &http.Transport{ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment} // not a clone: that is a use
	http.DefaultTransport = fresh
	t.Cleanup(func() {
		fresh.CloseIdleConnections()
		http.DefaultTransport = original
	})
	return fresh
}

// tlsServer speaks HTTP/2.
func tlsServer(t *testing.T, h http.Handler) (server *httptest.Server, config *tls.Config) {
	t.Helper()
	server = httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func clientSpans(store *otlpreceiver.Store) (n int) {
	for _, s := range store.Spans() {
		if s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
			n++
		}
	}
	return n
}

// answers is a protocol of a program's own.
type answers string

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(strings.NewReader(string(a))), Request: r}, nil
}

func TestDefaultTransportStaysItself(t *testing.T) {
	before := freshTransport(t)
	before.RegisterProtocol("before", answers("before"))
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	secure, config := tlsServer(t, http.NotFoundHandler())
	store, _, flush := start(t)
	if http.DefaultTransport != http.RoundTripper(before) {
		t.Error("http.DefaultTransport is another one")
	}
	before.RegisterProtocol("after", answers("after"))
	before.TLSClientConfig = config
	for _, scheme := range []string{"before", "after"} {
		resp, err := http.Get(scheme + "://host/") //nolint:noctx // what programs call
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != scheme {
			t.Errorf("%s answers %q", scheme, body)
		}
	}
	get(t.Context(), t, http.DefaultClient, server.URL)
	if major := get(t.Context(), t, http.DefaultClient, secure.URL); major != 2 {
		t.Errorf("HTTP/%d", major)
	}
	clone := before.Clone()
	if major := get(t.Context(), t, &http.Client{Transport: clone}, secure.URL); major != 2 {
		t.Errorf("a clone speaks HTTP/%d", major)
	}
	clone.CloseIdleConnections()
	flush()
	if n := clientSpans(store); n != 2 {
		t.Errorf("%d client spans, want 2: those of http and https, none of the clone", n)
	}
	if http.DefaultTransport != http.RoundTripper(before) {
		t.Error("http.DefaultTransport is another one after Shutdown")
	}
	get(t.Context(), t, http.DefaultClient, server.URL)
	get(t.Context(), t, http.DefaultClient, secure.URL)
}

// TestFieldsCount sets fields of http.DefaultTransport after Start, and some after the
// first request.
func TestFieldsCount(t *testing.T) {
	slow := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-slow
		}
		io.WriteString(w, r.Header.Get("Accept-Encoding"))
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure, config := tlsServer(t, handler)
	defer close(slow)
	for _, test := range []struct {
		name  string
		set   func(*http.Transport)
		major int
	}{
		{"as it is", func(*http.Transport) {}, 2},
		{"TLSNextProto switches HTTP/2 off", func(tr *http.Transport) {
			tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}, 1},
		{"ForceAttemptHTTP2 switches it off", func(tr *http.Transport) { tr.ForceAttemptHTTP2 = false }, 1},
		{"Protocols switches it off", func(tr *http.Transport) {
			tr.Protocols = new(http.Protocols)
			tr.Protocols.SetHTTP1(true)
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			tr := freshTransport(t)
			store, _, flush := start(t)
			tr.TLSClientConfig = config.Clone()
			test.set(tr)
			if major := get(t.Context(), t, http.DefaultClient, secure.URL); major != test.major {
				t.Errorf("HTTP/%d, want HTTP/%d", major, test.major)
			}
			get(t.Context(), t, http.DefaultClient, plain.URL)
			tr.ResponseHeaderTimeout = time.Millisecond
			for _, server := range []*httptest.Server{plain, secure} {
				_, err := http.Get(server.URL + "/slow") //nolint:noctx,bodyclose // fails
				if err == nil || !strings.Contains(err.Error(), "timeout awaiting response headers") {
					t.Errorf("%s: %v", server.URL, err)
				}
			}
			tr.ResponseHeaderTimeout = 0
			wanted := errors.New("no proxy for you")
			tr.Proxy = func(*http.Request) (*url.URL, error) { return nil, wanted }
			tr.CloseIdleConnections()
			for _, server := range []*httptest.Server{plain, secure} {
				if _, err := http.Get(server.URL); !errors.Is(err, wanted) { //nolint:noctx,bodyclose // fails
					t.Errorf("%s: %v", server.URL, err)
				}
			}
			flush()
			if n := clientSpans(store); n != 6 {
				t.Errorf("%d client spans, want 6", n)
			}
		})
	}
}

// TestUnencryptedHTTP2 is HTTP/2 without TLS.
func TestUnencryptedHTTP2(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	tr := freshTransport(t)
	store, _, flush := start(t)
	tr.Protocols = server.Config.Protocols
	if major := get(t.Context(), t, http.DefaultClient, server.URL); major != 2 {
		t.Errorf("HTTP/%d", major)
	}
	flush()
	if n := clientSpans(store); n != 1 {
		t.Errorf("%d client spans", n)
	}
}

// TestIdleConnectionsClose looks from the server's end.
func TestIdleConnectionsClose(t *testing.T) {
	var open atomic.Int64
	closed := make(chan struct{}, 100)
	count := func(server *httptest.Server) {
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed, http.StateHijacked:
				open.Add(-1)
				closed <- struct{}{}
			}
		}
	}
	plain := httptest.NewUnstartedServer(http.NotFoundHandler())
	count(plain)
	plain.Start()
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	hosts, err := trust.ParseHosts("*")
	if err != nil {
		t.Fatal(err)
	}
	tr := freshTransport(t)
	tr.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	start(t)
	for name, client := range map[string]*http.Client{
		"http.DefaultClient":           http.DefaultClient,
		"clewhttp.Transport":           {Transport: clewhttp.Transport(nil)},
		"clewhttp.Transport, twice":    {Transport: clewhttp.Transport(clewhttp.Transport(nil))},
		"trust.Transport":              {Transport: trust.Transport(nil, hosts)},
		"clewhttp.Transport WithHosts": {Transport: clewhttp.Transport(nil, clewhttp.WithHosts(hosts))},
	} {
		var reused atomic.Bool
		get(t.Context(), t, client, plain.URL)
		get(t.Context(), t, client, secure.URL)
		if open.Load() == 0 {
			t.Errorf("%s: no connection is kept", name)
		}
		client.CloseIdleConnections()
		for open.Load() != 0 { // the server sees it soon
			<-closed
		}
		get(reports(t.Context(), &reused), t, client, secure.URL)
		if reused.Load() {
			t.Errorf("%s: the connection for HTTP/2 was still there", name)
		}
	}
}

// TestRequestsInFlight is for the race detector: requests go on during Start and
// Shutdown.
func TestRequestsInFlight(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	receiver := httptest.NewServer(new(otlpreceiver.Store).Handler())
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	freshTransport(t)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for ctx.Err() == nil {
				resp, err := http.Get(server.URL) //nolint:noctx // what programs call
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	for range 20 {
		telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
		if telemetry == nil {
			t.Fatal(err)
		}
		telemetry.Shutdown(t.Context()) //nolint:errcheck // a span that ends meanwhile may come too late
	}
	cancel()
	group.Wait()
}

// TestReplacedAndPutBack is what libraries for tests do, some of which keep what
// http.DefaultTransport was when the program started.
func TestReplacedAndPutBack(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	kept := freshTransport(t)
	store, _, flush := start(t)
	http.DefaultTransport = answers("mock")
	resp, err := http.Get("http://nowhere.example/") //nolint:noctx // what programs call
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultTransport = kept
	get(t.Context(), t, http.DefaultClient, server.URL)
	flush()
	if n := clientSpans(store); n != 1 {
		t.Errorf("%d client spans, want 1", n)
	}
}

// TestUsedBeforeStart has https left out, and a problem says so. What the problem
// advises helps.
func TestUsedBeforeStart(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure, config := tlsServer(t, http.NotFoundHandler())
	for name, use := range map[string]func(*testing.T, *http.Transport){
		"used":   func(t *testing.T, _ *http.Transport) { t.Helper(); get(t.Context(), t, http.DefaultClient, plain.URL) },
		"cloned": func(_ *testing.T, tr *http.Transport) { tr.Clone() },
		"http2.ConfigureTransports": func(t *testing.T, tr *http.Transport) {
			t.Helper()
			h2, err := http2.ConfigureTransports(tr) //nolint:staticcheck // deprecated, but called
			if err != nil {
				t.Fatal(err)
			}
			h2.ReadIdleTimeout = time.Minute //nolint:staticcheck // deprecated, but set
		},
	} {
		for _, cloned := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				tr := freshTransport(t)
				tr.TLSClientConfig = config.Clone()
				use(t, tr)
				wantSpans := 1
				if cloned {
					fresh := tr.Clone()
					defer fresh.CloseIdleConnections()
					http.DefaultTransport = fresh
					wantSpans = 2
				}
				store := &otlpreceiver.Store{}
				server := httptest.NewServer(store.Handler())
				defer server.Close()
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
				telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				if said := strings.Contains(problems(telemetry), "before Start:"); said == cloned {
					t.Errorf("problems: %s", problems(telemetry))
				}
				get(t.Context(), t, http.DefaultClient, plain.URL)
				if major := get(t.Context(), t, http.DefaultClient, secure.URL); major != 2 {
					t.Errorf("HTTP/%d", major)
				}
				if err := telemetry.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if n := clientSpans(store); n != wantSpans {
					t.Errorf("%d client spans, want %d", n, wantSpans)
				}
			})
		}
	}
}

// TestNothingRecurses puts wrappers of http.DefaultTransport in its place, before
// Start and after it.
func TestNothingRecurses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for name, wrap := range map[string]func() http.RoundTripper{
		"Transport(nil)":                   func() http.RoundTripper { return clewhttp.Transport(nil) },
		"Transport(http.DefaultTransport)": func() http.RoundTripper { return clewhttp.Transport(http.DefaultTransport) },
		"around":                           func() http.RoundTripper { return wrapper{http.DefaultTransport} },
		"around Transport":                 func() http.RoundTripper { return wrapper{clewhttp.Transport(nil)} },
		"Transport around":                 func() http.RoundTripper { return clewhttp.Transport(wrapper{http.DefaultTransport}) },
		"trust.Transport":                  func() http.RoundTripper { return trust.Transport(nil, trust.Hosts{}) },
		"Transport, trust.Transport":       func() http.RoundTripper { return clewhttp.Transport(trust.Transport(nil, trust.Hosts{})) },
		"Transport, twice":                 func() http.RoundTripper { return clewhttp.Transport(clewhttp.Transport(nil)) },
	} {
		for _, before := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				freshTransport(t)
				t.Setenv("OTEL_PROPAGATORS", "none")
				if before {
					http.DefaultTransport = wrap()
				}
				store := &otlpreceiver.Store{}
				receiver := httptest.NewServer(store.Handler())
				defer receiver.Close()
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
				telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				if !before {
					http.DefaultTransport = wrap()
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				get(ctx, t, http.DefaultClient, server.URL)
				http.DefaultClient.CloseIdleConnections()
				if err := telemetry.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				// A wrapper that is no *http.Transport when Start comes, and does not trace, is reported.
				want, problem := 1, problems(telemetry)
				if problem != "" {
					want = 0
				}
				if strings.Contains(name, "Transport") && !strings.HasPrefix(name, "around") && !strings.HasPrefix(name, "trust") && problem != "" {
					t.Errorf("problem %s", problem)
				}
				if name == "around Transport" {
					want = 1 // the wrapper is reported, but what is in it traces
				}
				if n := clientSpans(store); n != want {
					t.Errorf("%d client spans, want %d (problem: %s)", n, want, problem)
				}
			})
		}
	}
}

// reports returns a context in which used tells whether a connection was there
// already.
func reports(ctx context.Context, used *atomic.Bool) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { used.Store(info.Reused) }})
}
