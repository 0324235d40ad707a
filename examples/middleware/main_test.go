package main

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestMiddleware(t *testing.T) {
	c := exampletest.NewCollector(t)
	users := c.Start(t, exampletest.Path(t), "users", "-addr", "127.0.0.1:0")
	url := users.URL(t)
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	get(t, url+"/users/42", "Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01", "Tracestate", "vendor=x", "Tenant", "acme")
	get(t, url+"/users/7")
	get(t, url+"/healthz")
	users.Stop(t)

	c.Expect(t, `
		users GET /users/{id} SERVER
			users load-user INTERNAL
		users GET /users/{id} SERVER parent: 00f067aa0ba902b7
			users load-user INTERNAL
	`)
	for _, name := range []string{"GET /users/{id}", "load-user"} {
		var tenants []string
		for _, span := range c.FindAll("users", name) {
			if hex.EncodeToString(span.GetTraceId()) == traceID {
				tenants = append(tenants, otlpreceiver.Attribute(span.GetAttributes(), "app.tenant").GetStringValue())
				if span.GetTraceState() != "vendor=x" {
					t.Errorf("%s has tracestate %q", name, span.GetTraceState())
				}
			} else if span.GetFlags()&0x03 != 0x03 {
				t.Errorf("flags of the trace that begins here are %#x, want sampled and random", span.GetFlags())
			}
		}
		if strings.Join(tenants, ",") != "acme" {
			t.Errorf("tenant on %s of the continued trace is %q, want acme", name, tenants)
		}
	}
	if lines := users.LogLines(traceID); len(lines) != 2 ||
		!strings.Contains(lines[0], "loading user") || !strings.Contains(lines[1], "path=/users/42") {
		t.Errorf("log lines of the trace: %q", lines)
	}
}

func get(t *testing.T, url string, header ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET %s: %s", url, resp.Status)
	}
}
