package main

import (
	"bufio"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProxy(t *testing.T) {
	program := exampletest.Build(t, ".")
	t.Run("trace goes through", func(t *testing.T) { testTrace(t, program) })
	t.Run("header fields go through", func(t *testing.T) { testWire(t, program) })
}

func testTrace(t *testing.T, program string) {
	t.Helper()
	c := exampletest.NewCollector(t)
	server := c.Start(t, exampletest.Build(t, "../server"), "server", "-addr", "127.0.0.1:0")
	proxy := c.Start(t, program, "proxy", "-addr", "127.0.0.1:0", "-to", server.URL(t))
	client := c.Start(t, exampletest.Build(t, "../client"), "client", "-url", proxy.URL(t)+"/")
	client.Wait(t, 0)
	proxy.Terminate(t, 0)
	server.Stop(t)

	c.Expect(t, `
		client call-api INTERNAL
			client GET CLIENT
				server GET SERVER
					server GET / INTERNAL
	`)
	if lines := proxy.LogLines(c.TraceID(t)); len(lines) != 1 || !strings.Contains(lines[0], "forwarding") {
		t.Errorf("the proxy's log lines with the trace id: %q", lines)
	}
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
	proxy.Terminate(t, 0)
}

// roundTrip sends a request with that header through the proxy and returns the
// lines about the trace that arrive, sorted.
func roundTrip(t *testing.T, url string, header http.Header, behind net.Listener) (lines []string) {
	t.Helper()
	arrived := make(chan []string)
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
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("the proxy answers %s", resp.Status)
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
