package main

import (
	"bufio"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/otelsetup"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestProxy(t *testing.T) {
	program := exampletest.Path(t)
	t.Run("trace goes through", func(t *testing.T) { testTrace(t, program) })
	t.Run("header fields go through", func(t *testing.T) { testWire(t, program) })
}

// testTrace has both the client and the server in this process, with the proxy
// between them.
func testTrace(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	t.Setenv("OTEL_SERVICE_NAME", "ends")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.URL)
	telemetry, err := otelsetup.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(clewhttp.Handler(http.NotFoundHandler()))
	defer server.Close()
	proxy := c.Start(t, program, "proxy", "-addr", "127.0.0.1:0", "-to", server.URL)
	client := http.Client{Transport: clewhttp.Transport(&http.Transport{DisableKeepAlives: true})}
	status, err := get(t, &client, proxy.URL(t), nil)
	if err != nil || status != http.StatusNotFound {
		t.Errorf("answered %d, %v, want what the server answers: 404", status, err)
	}
	proxy.Stop(t)
	if err := telemetry.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	c.Expect(t, `
		ends GET CLIENT ERROR
			ends GET SERVER
	`)
	if lines := proxy.LogLines(c.TraceID(t)); len(lines) != 1 || !strings.Contains(lines[0], "forwarding") {
		t.Errorf("the proxy's log lines with the trace id: %q", lines)
	}
}

func get(t *testing.T, client *http.Client, url string, header http.Header) (status int, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	maps.Copy(req.Header, header)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// testWire looks at the bytes that leave the proxy.
func testWire(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	proxy := c.Start(t, program, "proxy", "-addr", "127.0.0.1:0", "-to", "http://"+listener.Addr().String())
	url := proxy.URL(t)
	for name, header := range map[string]http.Header{
		"valid": {
			"Traceparent": {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02"},
			"Tracestate":  {"a=1,b=2", "c=3"},
			"Baggage":     {"k=v;p"},
		},
		"invalid": {"Traceparent": {"00-not-valid"}, "Tracestate": {"=="}},
		"none":    {},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for field, values := range header {
				for _, v := range values {
					want = append(want, strings.ToLower(field)+": "+v)
				}
			}
			slices.Sort(want)
			if got := roundTrip(t, url, header, listener); !slices.Equal(got, want) {
				t.Errorf("forwarded\n%q, want\n%q", got, want)
			}
		})
	}
	proxy.Stop(t)
}

// roundTrip sends a request with that header through the proxy and returns the
// lines about the trace that arrive, sorted.
func roundTrip(t *testing.T, url string, header http.Header, behind net.Listener) (lines []string) {
	t.Helper()
	arrived := make(chan []string, 1)
	go func() {
		defer close(arrived)
		conn, err := behind.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var found []string
		for in := bufio.NewScanner(conn); in.Scan() && in.Text() != ""; {
			line := in.Text()
			if name := strings.ToLower(line); strings.HasPrefix(name, "trace") || strings.HasPrefix(name, "baggage") {
				found = append(found, line)
			}
		}
		_, _ = conn.Write([]byte("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"))
		arrived <- found
	}()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status, err := get(t, &client, url, header)
	if err != nil || status != http.StatusNoContent {
		t.Fatalf("answered %d, %v, want 204", status, err)
	}
	lines = <-arrived
	slices.Sort(lines)
	return lines
}

func TestNoSDK(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "opentelemetry") {
		t.Errorf("the proxy links OpenTelemetry:\n%s", out)
	}
}
