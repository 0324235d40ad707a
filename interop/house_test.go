package interop_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator"
)

// house is our side: services set up by otelsetup, which export to the store.
type span = otlpreceiver.Span

type house struct {
	telemetry *otelsetup.Telemetry
	store     *otlpreceiver.Store
	storeURL  string
}

// newHouse starts the SDK for the length of the test. The propagators are the
// default ones and, in this order, the additional ones.
func newHouse(t *testing.T, additional ...propagation.TextMapPropagator) *house {
	t.Helper()
	h := &house{store: new(otlpreceiver.Store)}
	receiver := httptest.NewServer(h.store.Handler())
	h.storeURL = receiver.URL
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL,
		"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
		"OTEL_METRICS_EXPORTER":       "none",
		"OTEL_LOGS_EXPORTER":          "none",
		"OTEL_SERVICE_NAME":           "ours",
	} {
		t.Setenv(name, value)
	}
	var err error
	if h.telemetry, err = otelsetup.Start(t.Context(), otelsetup.WithoutDefaultTransport()); err != nil {
		t.Fatal(err)
	}
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
		append([]propagation.TextMapPropagator{propagator.New(), propagation.Baggage{}}, additional...)...))
	t.Cleanup(func() {
		if err := h.telemetry.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		receiver.Close()
	})
	return h
}

// transport is ours over a connection pool of its own, which ends with the test.
func (h *house) transport(t *testing.T, base *http.Transport) http.RoundTripper {
	t.Helper()
	t.Cleanup(base.CloseIdleConnections)
	return otelsetup.Transport(base)
}

// service runs one of our services for the length of the test.
func (h *house) service(t *testing.T) (url string) {
	t.Helper()
	l := library{
		wrap:      func(next http.Handler) http.Handler { return otelsetup.Handler(next) },
		transport: h.transport(t, new(http.Transport)),
		view: func(ctx context.Context, r *record) {
			sc := trace.SpanContextFromContext(ctx)
			r.TraceID, r.SpanID, r.Sampled = sc.TraceID().String(), sc.SpanID().String(), sc.IsSampled()
		},
	}
	server := httptest.NewServer(l.handler())
	t.Cleanup(server.Close)
	return server.URL
}

// spans returns what has been exported of a trace, by span id. Programs other
// than this one have to have exported theirs.
func (h *house) spans(t *testing.T, traceID string) map[string]span {
	t.Helper()
	if err := h.telemetry.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := make(map[string]span)
	for _, s := range h.store.Spans() {
		if hexID(s.GetTraceId()) == traceID {
			spans[hexID(s.GetSpanId())] = s
		}
	}
	return spans
}

// hexID formats an id; one that is all zeros or missing is empty.
func hexID(id []byte) string {
	if bytes.Count(id, []byte{0}) == len(id) {
		return ""
	}
	return hex.EncodeToString(id)
}
