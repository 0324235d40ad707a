package trust_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var w3c = propagator.New()

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"

func inject(ctx context.Context) http.Header {
	h := http.Header{}
	w3c.Inject(ctx, propagation.HeaderCarrier(h))
	return h
}

// linkCallers is the span processor that makes the first span link the caller.
type linkCallers struct{ sdktrace.SpanProcessor }

func (p linkCallers) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	if !s.Parent().IsValid() || s.Parent().IsRemote() {
		trust.Link(ctx, s)
	}
	p.SpanProcessor.OnStart(ctx, s)
}

// foreign is a propagator of another format, which reads more than it names.
type foreign struct{}

func (foreign) Inject(context.Context, propagation.TextMapCarrier) {}
func (foreign) Fields() []string                                   { return []string{"x-foreign"} }
func (foreign) Extract(ctx context.Context, c propagation.TextMapCarrier) context.Context {
	if id := c.Get("x-foreign"); id != "" {
		traceID, _ := trace.TraceIDFromHex(id)
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: trace.SpanID{7}, TraceFlags: 1}))
	}
	if v := c.Get("ot-baggage-user"); v != "" {
		m, _ := baggage.NewMember("user", v)
		b, _ := baggage.New(m)
		ctx = baggage.ContextWithBaggage(ctx, b)
	}
	return ctx
}

func setGlobal(t *testing.T, p propagation.TextMapPropagator) {
	t.Helper()
	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(p)
	t.Cleanup(func() { otel.SetTextMapPropagator(before) })
}

const hostile = "0af7651916cd43dd84ffffffffffffff"

var hostileHeader = http.Header{
	"Traceparent":     {"00-" + hostile + "-b7ad6b7169203331-03"},
	"Tracestate":      {"ot=th:ffffffffffffff,1a=x"},
	"Baggage":         {"user=root"},
	"baggage":         {"user=root2"},
	"Ot-Baggage-User": {"root3"},
	"X-Foreign":       {"0af7651916cd43dd84fffffffffffffe"},
	"Accept":          {"*"},
}

func TestHandler(t *testing.T) {
	foreignOnly := http.Header{"X-Foreign": hostileHeader["X-Foreign"], "Accept": {"*"}}
	composed := propagation.NewCompositeTextMapPropagator
	stock := propagation.TraceContext{}
	for _, tt := range []struct {
		rule       string
		propagator propagation.TextMapPropagator
		header     http.Header
		link       string // trace id
	}{
		{"ours", w3c, hostileHeader, hostile},
		{"ours, then baggage", composed(w3c, propagation.Baggage{}), hostileHeader, hostile},
		{"baggage, then ours", composed(propagation.Baggage{}, w3c), hostileHeader, hostile},
		{"with another format", composed(w3c, propagation.Baggage{}, foreign{}), hostileHeader, hostile},
		{"only the other format received", composed(w3c, propagation.Baggage{}, foreign{}), foreignOnly, "0af7651916cd43dd84fffffffffffffe"},
		{"stock propagators", composed(stock, propagation.Baggage{}), hostileHeader, hostile},
		{"nothing received", w3c, http.Header{"Accept": {"*"}}, ""},
	} {
		for _, trusted := range []bool{false, true} {
			name := tt.rule + ", untrusted"
			if trusted {
				name = tt.rule + ", trusted"
			}
			t.Run(name, func(t *testing.T) {
				setGlobal(t, tt.propagator)
				spans := tracetest.NewSpanRecorder()
				tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(linkCallers{spans}))
				var got *http.Request
				inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					got = r
					for range 2 {
						_, child := tp.Tracer("").Start(r.Context(), "child")
						child.End()
					}
				})
				h := trust.Handler(otelhttp.NewHandler(inner, "server", otelhttp.WithTracerProvider(tp)),
					func(*http.Request) bool { return trusted })
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
				r.Header = tt.header.Clone()
				h.ServeHTTP(httptest.NewRecorder(), r)

				if !maps.EqualFunc(r.Header, tt.header, slices.Equal) {
					t.Errorf("the request was changed: %v", r.Header)
				}
				ended := spans.Ended()
				server := ended[len(ended)-1]
				if trusted {
					if tt.link != "" && !server.Parent().IsValid() {
						t.Error("a trusted caller is not the parent")
					}
					if len(server.Links()) != 0 {
						t.Errorf("a trusted caller is a link: %v", server.Links())
					}
					return
				}
				if server.Parent().IsValid() || strings.HasPrefix(server.SpanContext().TraceID().String(), hostile[:16]) {
					t.Errorf("the trace was not restarted: parent %v", server.Parent())
				}
				if n := server.SpanContext().TraceState().Len(); n != 0 {
					t.Errorf("tracestate %q", server.SpanContext().TraceState())
				}
				if b := baggage.FromContext(got.Context()); b.Len() != 0 {
					t.Errorf("baggage %q", b)
				}
				if sent := inject(got.Context()); sent.Get("Tracestate") != "" {
					t.Errorf("sent tracestate %q", sent.Get("Tracestate"))
				}
				for name := range got.Header {
					if name != "Accept" && (name != "X-Foreign" || slices.Contains(tt.propagator.Fields(), "x-foreign")) {
						t.Errorf("the handler sees %s", name)
					}
				}
				var links []string
				for _, s := range ended {
					for _, l := range s.Links() {
						links = append(links, s.Name()+" "+l.SpanContext.TraceID().String())
					}
				}
				var want []string
				if tt.link != "" {
					want = []string{server.Name() + " " + tt.link}
				}
				if !slices.Equal(links, want) {
					t.Errorf("links are %q, want %q", links, want)
				}
			})
		}
	}
}

func TestUntrustedContext(t *testing.T) {
	all := propagation.NewCompositeTextMapPropagator(w3c, propagation.Baggage{}, foreign{})
	for _, tt := range []struct {
		rule string
		p    propagation.TextMapPropagator
	}{
		{"alone", w3c},
		{"guarded composition", trust.Propagator(all)},
		{"composition of guarded", propagation.NewCompositeTextMapPropagator(w3c, trust.Propagator(propagation.Baggage{}), trust.Propagator(foreign{}))},
		{"guarded stock", trust.Propagator(propagation.TraceContext{})},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			carrier := propagation.HeaderCarrier(hostileHeader)
			ctx := tt.p.Extract(trust.Untrusted(t.Context()), carrier)
			if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
				t.Errorf("extracted %v", sc)
			}
			if b := baggage.FromContext(ctx); b.Len() != 0 {
				t.Errorf("baggage %q", b)
			}
			if h := inject(ctx); len(h) != 0 {
				t.Errorf("sent %v", h)
			}
			if got := trust.Caller(ctx); !strings.HasPrefix(got.TraceID().String(), hostile[:31]) || !got.IsRemote() {
				t.Errorf("caller is %v", got)
			}
			trusted := tt.p.Extract(t.Context(), carrier)
			if !trace.SpanContextFromContext(trusted).IsValid() || trust.Caller(trusted).IsValid() {
				t.Error("without the mark the caller is not the parent")
			}
		})
	}
}

func TestLinkOnce(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("")
	ctx := w3c.Extract(trust.Untrusted(t.Context()), propagation.HeaderCarrier(hostileHeader))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, span := tracer.Start(ctx, "span")
			trust.Link(ctx, span)
			span.End()
		})
	}
	wg.Wait()
	links := 0
	for _, s := range spans.Ended() {
		links += len(s.Links())
	}
	if links != 1 {
		t.Errorf("%d links, want 1", links)
	}
	trust.Link(t.Context(), trace.SpanFromContext(t.Context()))
}

func TestNetworks(t *testing.T) {
	trusted := trust.Networks(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fe80::/10"))
	for addr, want := range map[string]bool{
		"10.1.2.3:80": true, "11.1.2.3:80": false, "[::ffff:10.1.2.3]:80": true, "[fe80::1%eth0]:80": true,
		"[2001:db8::1]:80": false, "": false, "10.1.2.3": false, "@": false,
	} {
		r := &http.Request{RemoteAddr: addr, Header: http.Header{"X-Forwarded-For": {"10.0.0.1"}}}
		if got := trusted(r); got != want {
			t.Errorf("peer %q is trusted: %t, want %t", addr, got, want)
		}
	}
	if trust.Networks()(&http.Request{RemoteAddr: "127.0.0.1:80"}) {
		t.Error("no network, yet trusted")
	}
}

func TestSecret(t *testing.T) {
	for _, tt := range []struct {
		rule, secret string
		values       []string
		want         bool
	}{
		{"the secret", "s3cret", []string{"s3cret"}, true},
		{"another one", "s3cret", []string{"s3cres"}, false},
		{"a longer one", "s3cret", []string{"s3cretx"}, false},
		{"none", "s3cret", nil, false},
		{"two fields", "s3cret", []string{"s3cret", "s3cret"}, false},
		{"empty secret", "", []string{""}, false},
	} {
		r := &http.Request{Header: http.Header{"X-Edge": tt.values}}
		if got := trust.Secret("x-edge", tt.secret)(r); got != tt.want {
			t.Errorf("%s: trusted: %t, want %t", tt.rule, got, tt.want)
		}
	}
}

func TestHosts(t *testing.T) {
	hosts, err := trust.ParseHosts("api.internal", "*.example.com", "10.0.0.1", "::1", "Upper.Example.ORG.")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"api.internal": true, "API.Internal.": true, "x.api.internal": false, "a.example.com": true, "a.b.example.com": true,
		"example.com": false, "badexample.com": false, "example.com.evil.net": false, "10.0.0.1": true, "10.0.0.2": false,
		"::1": true, "[::1]": true, "::ffff:10.0.0.1": true, "upper.example.org": true, "": false,
	} {
		if got := hosts.Contains(host); got != want {
			t.Errorf("Contains(%q) = %t, want %t", host, got, want)
		}
	}
	if (trust.Hosts{}).Contains("a") {
		t.Error("the zero value contains a host")
	}
	if all, err := trust.ParseHosts("*"); err != nil || !all.Contains("anything") {
		t.Errorf(`"*" does not contain every host: %v`, err)
	}
	for _, bad := range []string{"", "a:80", "http://a", "a.*.b", "*a", "**", "*.", ".a", "a/b", "u@h", "*.a:1"} {
		if _, err := trust.ParseHosts("ok", bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("ParseHosts(%q) gives the error %v, want one that names it", bad, err)
		}
	}
}

func TestTransport(t *testing.T) {
	setGlobal(t, propagation.NewCompositeTextMapPropagator(w3c, propagation.Baggage{}, foreign{}))
	var got http.Header
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }))
	defer server.Close()
	for _, tt := range []struct {
		pattern string
		sent    bool
	}{{"127.0.0.1", true}, {"*.example.com", false}} {
		hosts, err := trust.ParseHosts(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		tp := sdktrace.NewTracerProvider()
		client := &http.Client{Transport: otelhttp.NewTransport(trust.Transport(nil, hosts), otelhttp.WithTracerProvider(tp))}
		m, _ := baggage.NewMember("user", "alice")
		b, _ := baggage.New(m)
		req, err := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), b), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"X-Foreign": {"1"}, "X-B3-Traceid": {"1"}, "Accept": {"*"}}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		for _, name := range []string{"Traceparent", "Baggage", "X-Foreign", "X-B3-Traceid"} {
			if sent := got.Get(name) != ""; sent != tt.sent {
				t.Errorf("hosts %s: %s was sent: %t, want %t", tt.pattern, name, sent, tt.sent)
			}
		}
		if got.Get("Accept") != "*" || req.Header.Get("X-Foreign") != "1" {
			t.Errorf("hosts %s: sent %v of %v", tt.pattern, got, req.Header)
		}
		client.CloseIdleConnections()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// Behind Handler, the files of a form and the pattern are in a copy of the request.
// They have to be in the server's own request as well.
func TestHandlerKeepsTheServersRequest(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	mux := http.NewServeMux()
	inHandler := make(chan []string, 2)
	mux.HandleFunc("POST /upload/{name}", func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Error(err)
		}
		inHandler <- tempFiles(t)
		if r.PathValue("name") == "panics" {
			panic(http.ErrAbortHandler)
		}
	})
	pattern := make(chan string, 2)
	guarded := trust.Handler(mux, nil)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { pattern <- r.Pattern }()
		guarded.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for name, fails := range map[string]bool{"file": false, "panics": true} { // over HTTP/2, net/http removes the files after a panic too
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("file", "big")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write(make([]byte, 11<<20)) // parts of the form that are in memory can have 10 MiB
		_ = form.Close()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/upload/"+name, &body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", form.FormDataContentType())
		res, err := server.Client().Do(req)
		if (err != nil) != fails {
			t.Fatalf("%s: %v", name, err)
		}
		if err == nil {
			_ = res.Body.Close()
		}
		if files := <-inHandler; len(files) != 1 {
			t.Fatalf("%s: the handler has the temporary files %q, want one", name, files)
		}
		if got := <-pattern; got != "POST /upload/{name}" {
			t.Errorf("%s: the handler outside sees the pattern %q", name, got)
		}
	}
	server.Close() // waits for the requests
	if left := tempFiles(t); len(left) != 0 {
		t.Errorf("temporary files left: %q", left)
	}
}

func tempFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(os.TempDir(), "multipart-*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// fillTrailer is a body that sets a trailer of its request when it has been read.
type fillTrailer struct {
	io.Reader
	request *http.Request
}

func (b *fillTrailer) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		b.request.Trailer.Set("X-Sum", "42")
	}
	return n, err
}

func TestTransportKeepsTheRequest(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			var got http.Header
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				got = r.Trailer.Clone()
			}))
			server.EnableHTTP2 = proto == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			body := &fillTrailer{Reader: strings.NewReader("body")}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			body.request, req.Trailer = req, http.Header{"X-Sum": nil}
			req.Header.Set("Traceparent", parent)
			res, err := trust.Transport(server.Client().Transport, trust.Hosts{}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.Proto != proto || got.Get("X-Sum") != "42" {
				t.Errorf("%s: the trailer that was sent is %v", res.Proto, got)
			}
			if res.Request != req || req.Header.Get("Traceparent") != parent {
				t.Error("the response is for another request, or the request was changed")
			}
		})
	}
}

func TestNil(t *testing.T) {
	p := trust.Propagator(nil)
	if ctx := p.Extract(t.Context(), propagation.HeaderCarrier(hostileHeader)); ctx != t.Context() || len(p.Fields()) != 0 {
		t.Error("a propagator of nil does something")
	}
	trust.Link(trust.Untrusted(t.Context()), nil)
	var none context.Context
	if trust.Caller(none).IsValid() {
		t.Error("no context has a caller")
	}
	for _, trusted := range []func(*http.Request) bool{nil, trust.Networks(), trust.Secret("", "")} {
		var seen string
		h := trust.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Traceparent") }), trusted)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header = hostileHeader.Clone()
		if h.ServeHTTP(httptest.NewRecorder(), r); seen != "" {
			t.Error("somebody is trusted by nothing")
		}
	}
}
