package otelsetup_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator/trust"
)

type headerCarrier = propagation.HeaderCarrier

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
		{"a client with clewhttp.Transport", nil, func() *http.Client { return &http.Client{Transport: clewhttp.Transport(nil)} }, 1},
		{"a client with clewhttp.Transport over a wrapper", nil, func() *http.Client {
			return &http.Client{Transport: clewhttp.Transport(wrapper{http.DefaultTransport})}
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
			"WithoutDefaultTransport, with clewhttp.Transport",
			[]otelsetup.Option{otelsetup.WithoutDefaultTransport()},
			func() *http.Client { return &http.Client{Transport: clewhttp.Transport(nil)} },
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
			"Transport": {Transport: clewhttp.Transport(&http.Transport{DisableKeepAlives: true}, clewhttp.WithHosts(hosts))},
		} {
			t.Run(name+" "+test.host, func(t *testing.T) {
				var startOptions []otelsetup.Option
				if name == "Start" {
					startOptions = append(startOptions, otelsetup.WithTransportOptions(clewhttp.WithHosts(hosts)))
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
