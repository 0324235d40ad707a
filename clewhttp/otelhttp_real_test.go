package clewhttp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// links are the kinds of connections between a client and a server.
var links = []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2", "h2c", "IPv6"}

// listen serves h over a link, and returns a client's transport for it. On a
// machine without IPv6 the test is skipped.
func listen(t *testing.T, link string, h http.Handler) (*httptest.Server, *http.Transport) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	transport := &http.Transport{}
	switch link {
	case "HTTP/1.1 over TLS", "HTTP/2":
		server.EnableHTTP2 = link == "HTTP/2"
		server.StartTLS()
		transport.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		transport.ForceAttemptHTTP2 = server.EnableHTTP2
	case "h2c":
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		transport.Protocols = server.Config.Protocols
		server.Start()
	case "IPv6":
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
		if err != nil {
			t.Skip(err)
		}
		server.Listener.Close()
		server.Listener = l
		server.Start()
	default:
		server.Start()
	}
	t.Cleanup(server.Close)
	t.Cleanup(transport.CloseIdleConnections)
	return server, transport
}

// realHandler is what both servers serve. Its backend breaks off in the middle
// of an answer.
func realHandler(t *testing.T) http.Handler {
	t.Helper()
	backend, _ := listen(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/proxy/late" {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}))
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = transport
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", echo)
	mux.HandleFunc("/fail", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	mux.HandleFunc("/hints", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "hello")
		w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/page.txt") })
	mux.HandleFunc("/upgrade", upgradeAfterBody)
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/abort/late", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("no way out") })
	mux.Handle("/proxy/", proxy)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			upgrade(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// upgradeAfterBody takes the connection over, and reads what the client sends to
// the end: what is not read makes the kernel reset the connection at some time.
func upgradeAfterBody(w http.ResponseWriter, _ *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n") //nolint:errcheck // the flush tells
	rw.Flush()                                                                                         //nolint:errcheck // a test
	var body []byte
	for !bytes.HasSuffix(body, []byte("0\r\n\r\n")) { // the last chunk
		b, err := rw.ReadByte()
		if err != nil {
			return
		}
		body = append(body, b)
	}
	io.WriteString(conn, "ping") //nolint:errcheck // a test
}

// realRequests are sent over each link, unless they are of HTTP/1 only.
var realRequests = []struct {
	name   string
	target string
	http1  bool
	change func(*http.Request)
}{
	{"an answer", "/users/1?q=1&token=x", false, func(*http.Request) {}},
	{"an upload", "/users/1", false, upload},
	{"HEAD", "/users/1", false, func(r *http.Request) { r.Method = http.MethodHead }},
	{"an unknown method", "/users/1", false, func(r *http.Request) { r.Method = "PROPFIND" }},
	{"nowhere", "/nowhere", false, func(*http.Request) {}},
	{"a failure", "/fail", false, func(*http.Request) {}},
	{"103 early hints", "/hints", false, func(*http.Request) {}},
	{"100-continue", "/users/1", false, func(r *http.Request) { upload(r); r.Header.Set("Expect", "100-continue") }},
	{"trailers", "/trailers", false, func(*http.Request) {}},
	{"a file", "/file", false, func(*http.Request) {}},
	{"an upgrade", "/upgrade", true, func(r *http.Request) {
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "echo")
		r.Body = newBody("ping")
	}},
	{"CONNECT", "/", true, func(r *http.Request) {
		r.Method, r.URL.Path = http.MethodConnect, ""
		r.Body = newBody("ping")
	}},
	{"an abort", "/abort", false, func(*http.Request) {}},
	{"an abort with half an answer", "/abort/late", false, func(*http.Request) {}},
	{"a panic", "/panic", false, func(*http.Request) {}},
	{"a reverse proxy, no answer", "/proxy/early", false, func(*http.Request) {}},
	{"a reverse proxy, half an answer", "/proxy/late", false, func(*http.Request) {}},
	{"a Host with a port", "/users/1", false, func(r *http.Request) { r.Host = "shop.example:8443" }},
	{"a Host of IPv6", "/users/1", false, func(r *http.Request) { r.Host = "[2001:db8::1]" }},
	{"a Host of IPv6 with a port", "/users/1", false, func(r *http.Request) { r.Host = "[2001:db8::1]:8443" }},
	{"a Host without its bracket", "/users/1", false, func(r *http.Request) { r.Host = "[::1" }},
	{"a Host with port 0", "/users/1", false, func(r *http.Request) { r.Host = "h:0" }},
	{"a Host with a port too high", "/users/1", false, func(r *http.Request) { r.Host = "h:70000" }},
	{"a Host with a name for a port", "/users/1", false, func(r *http.Request) { r.Host = "h:port" }},
	{"a Host in capitals", "/users/1", false, func(r *http.Request) { r.Host = "SHOP.example." }},
	{"X-Forwarded-For", "/users/1", false, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7, 10.0.0.1") }},
	{"X-Forwarded-For of IPv6", "/users/1", false, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "2001:db8::7") }},
	{"Forwarded and others", "/users/1", false, func(r *http.Request) {
		r.Header.Set("Forwarded", "for=203.0.113.7;host=shop.example;proto=https")
		r.Header.Set("X-Forwarded-Host", "shop.example")
		r.Header.Set("X-Forwarded-Proto", "https")
		r.Header.Set("X-Real-Ip", "203.0.113.7")
	}},
}

func upload(r *http.Request) {
	r.Method, r.Body, r.ContentLength = http.MethodPost, newBody("body"), 4
}

// watchedBody is a request's body that tells when it is closed, which may be
// after the answer: otelhttp waits for that with its metrics.
type watchedBody struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func newBody(text string) *watchedBody {
	return &watchedBody{Reader: strings.NewReader(text), closed: make(chan struct{})}
}

func (b *watchedBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// realRequest is one of them, for a server.
func realRequest(t *testing.T, base, target string, change func(*http.Request)) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	change(r)
	return r
}

// exhaust sends a request, and reads the answer to its end. Whether that fails is
// part of the exchange.
func exhaust(rt http.RoundTripper, r *http.Request) {
	if b, ok := r.Body.(*watchedBody); ok {
		defer func() { <-b.closed }()
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return
	}
	io.Copy(io.Discard, resp.Body) //nolint:errcheck // as above
	resp.Body.Close()
}

// These differences need a connection to be seen. The others are those of the
// tests over recorders.
var (
	serverConnectionDifferences = []difference{
		{"http.response.status_code", "200", "101", "the handler writes the answer to an upgrade itself: what was sent"},
		{"metric http.response.status_code", "200", "101", "as on the span"},
		{"http.response.status_code", "200", "-", "what a handler writes to a connection that it took over is not known"},
	}
	clientConnectionDifferences = []difference{
		{"name", "HTTP CONNECT", "CONNECT", "HTTP spans, name: {method}"},
	}
)

var chance = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):\d+|stream ID \d+`)

// steady leaves out of a record what differs by chance: ports and streams.
func steady(record map[string]string, server *httptest.Server) map[string]string {
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String()) //nolint:errcheck // it is one
	for key, value := range record {
		if strings.HasSuffix(key, ".port") && (value == port || key == "network.peer.port") {
			value = "port"
		}
		record[key] = chance.ReplaceAllString(value, "$1")
	}
	return record
}

// TestBesideOtelhttpOverConnections compares what is recorded of requests that
// come over connections: a server of net/http makes the request and the writer.
func TestBesideOtelhttpOverConnections(t *testing.T) {
	seen := map[int]bool{}
	for _, link := range links {
		for _, x := range realRequests {
			if x.http1 && (link == "HTTP/2" || link == "h2c") {
				continue
			}
			t.Run(link+"/"+x.name, func(t *testing.T) {
				one := func(tel *telemetry, h http.Handler) map[string]string {
					served := make(chan struct{}, 1)
					server, transport := listen(t, link, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer func() { served <- struct{}{} }()
						h.ServeHTTP(w, r)
					}))
					r := realRequest(t, server.URL, x.target, x.change)
					r.Header.Set("Traceparent", "00-"+callerTrace+"-b7ad6b7169203331-01")
					exhaust(transport, r)
					<-served
					return steady(recordOf(t, tel, "http.server.request.duration"), server)
				}
				stock, clew := newTelemetry(t), newTelemetry(t)
				h := realHandler(t)
				compareRecords(t,
					one(stock, otelhttp.NewHandler(h, "", otelhttp.WithTracerProvider(stock.tracers), otelhttp.WithMeterProvider(stock.meters), otelhttp.WithPropagators(stock.w3c))),
					one(clew, clew.handler(h)), slices.Concat(serverConnectionDifferences, serverDifferences), seen)
			})
		}
	}
	allSeen(t, serverConnectionDifferences, seen)
}

// TestBesideOtelhttpTransportOverConnections sends the same requests from both
// transports.
func TestBesideOtelhttpTransportOverConnections(t *testing.T) {
	seen := map[int]bool{}
	for _, link := range links {
		for _, x := range realRequests {
			if x.http1 && (link == "HTTP/2" || link == "h2c") {
				continue
			}
			t.Run(link+"/"+x.name, func(t *testing.T) {
				server, transport := listen(t, link, realHandler(t))
				compareTransports(t, server, transport, func() *http.Request { return realRequest(t, server.URL, x.target, x.change) }, seen)
			})
		}
	}
	allSeen(t, clientConnectionDifferences, seen)
}

func compareTransports(t *testing.T, server *httptest.Server, base http.RoundTripper, request func() *http.Request, seen map[int]bool) (clewRecord map[string]string) {
	t.Helper()
	one := func(tel *telemetry, rt http.RoundTripper) map[string]string {
		exhaust(rt, request())
		return steady(recordOf(t, tel, "http.client.request.duration"), server)
	}
	stock, clew := newTelemetry(t), newTelemetry(t)
	clewRecord = one(clew, clew.transport(base))
	compareRecords(t,
		one(stock, otelhttp.NewTransport(base, otelhttp.WithTracerProvider(stock.tracers), otelhttp.WithMeterProvider(stock.meters), otelhttp.WithPropagators(stock.w3c))),
		clewRecord, slices.Concat(clientConnectionDifferences, clientDifferences), seen)
	return clewRecord
}

// forward is a proxy, for requests and for CONNECT.
func forward(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: &http.Transport{DisableKeepAlives: true}}).ServeHTTP(w, r)
		return
	}
	to, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	go io.Copy(to, rw) //nolint:errcheck // ends with the connection
	io.Copy(conn, to)  //nolint:errcheck // ends with the connection
}

// TestBesideOtelhttpTransportOnItsWay has what comes between a client and its
// server: a proxy, a connection that cannot be made, a request given up.
func TestBesideOtelhttpTransportOnItsWay(t *testing.T) {
	nothing := func(*httptest.Server, *http.Transport) {}
	refusing := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusProxyAuthRequired) }
	for _, test := range []struct {
		name  string
		links []string
		want  string // the status
		proxy http.HandlerFunc
		set   func(*httptest.Server, *http.Transport)
	}{
		{"a proxy", []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2", "IPv6"}, "200", forward, nothing},
		{"a proxy that refuses", []string{"HTTP/1.1"}, "407", refusing, nothing},
		{"a proxy that refuses to connect", []string{"HTTP/1.1 over TLS", "HTTP/2"}, "", refusing, nothing},
		{"no server", links, "", nil, func(server *httptest.Server, _ *http.Transport) { server.Close() }},
		{"a dial that fails", links, "", nil, func(_ *httptest.Server, tr *http.Transport) {
			tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way out") }
		}},
		{"a certificate of nobody", []string{"HTTP/1.1 over TLS", "HTTP/2"}, "", nil, func(_ *httptest.Server, tr *http.Transport) {
			tr.TLSClientConfig = nil
		}},
	} {
		for _, link := range test.links {
			t.Run(fmt.Sprint(test.name, "/", link), func(t *testing.T) {
				server, transport := listen(t, link, realHandler(t))
				test.set(server, transport)
				if test.proxy != nil {
					proxy, _ := listen(t, "HTTP/1.1", test.proxy)
					transport.Proxy = func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
				}
				record := compareTransports(t, server, transport, func() *http.Request { return realRequest(t, server.URL, "/users/1?q=1", upload) }, map[int]bool{})
				if got := record["http.response.status_code"]; got != test.want {
					t.Errorf("status %q, want %q", got, test.want)
				}
			})
		}
	}
	for _, link := range links {
		t.Run("given up/"+link, func(t *testing.T) {
			begun := make(chan struct{}, 1)
			server, transport := listen(t, link, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				begun <- struct{}{}
				<-r.Context().Done()
				panic(http.ErrAbortHandler) // an answer could overtake the end of a connection with TLS
			}))
			compareTransports(t, server, transport, func() *http.Request {
				ctx, cancel := context.WithCancel(t.Context())
				go func() { <-begun; cancel() }()
				return realRequest(t, server.URL, "/", func(*http.Request) {}).WithContext(ctx)
			}, map[int]bool{})
		})
	}
}
