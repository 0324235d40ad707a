// Package detecttest starts telemetry for the tests of detectors.
package detecttest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clewtrace/clew/otelsetup"
)

// Serve serves a metadata service until the test ends, and returns its URL.
func Serve(t *testing.T, service http.HandlerFunc) (url string) {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	return server.URL
}

// Start starts telemetry that keeps its spans here, and makes one.
func Start(t *testing.T) (spans *tracetest.InMemoryExporter, problems []otelsetup.Problem) {
	t.Helper()
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		t.Setenv("OTEL_"+signal+"_EXPORTER", "none")
	}
	spans = tracetest.NewInMemoryExporter()
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler), otelsetup.WithoutDefaultTransport(),
		otelsetup.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(spans)))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	t.Cleanup(func() {
		if err := telemetry.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return spans, telemetry.Report().Problems
}
