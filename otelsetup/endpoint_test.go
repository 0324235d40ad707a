package otelsetup_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
)

// TestEndpointOfASignalIsVerbatim: "as-is without any modification" but for the
// root path, says the specification of the OTLP exporter.
func TestEndpointOfASignalIsVerbatim(t *testing.T) {
	for endpoint, want := range map[string]string{
		"":                "/",
		"/custom/":        "/custom/",
		"/custom?key=abc": "/custom?key=abc",
		"/a%2Fb//c":       "/a%2Fb//c",
	} {
		t.Run(endpoint, func(t *testing.T) {
			var mu sync.Mutex
			var got string
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				got = r.RequestURI
			}))
			defer server.Close()
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_LOGS_EXPORTER", "none")
			t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+endpoint)
			_, _, flush := start(t)
			_, span := otel.Tracer("test").Start(context.Background(), "work")
			span.End()
			flush()
			if got != want {
				t.Errorf("arrived at %q, want %q", got, want)
			}
		})
	}
}
