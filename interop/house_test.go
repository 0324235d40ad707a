package interop_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// house is our side: services set up by otelsetup, which export to the store.
type span = otlpreceiver.Span

type house struct {
	telemetry *otelsetup.Telemetry
	store     *otlpreceiver.Store
	storeURL  string
	shared    bool // the others export to the store too
	h2c       bool // our services speak HTTP/2 without TLS
}

// newHouse starts the SDK for the length of the test. The propagators are the
// default ones and, in this order, the additional ones, by their names in
// OTEL_PROPAGATORS.
func newHouse(t *testing.T, additional ...string) *house {
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
		"OTEL_PROPAGATORS":            strings.Join(append([]string{"tracecontext", "baggage"}, additional...), ","),
	} {
		t.Setenv(name, value)
	}
	var err error
	if h.telemetry, err = otelsetup.Start(t.Context(), otelsetup.WithoutDefaultTransport()); err != nil {
		t.Fatal(err)
	}
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
	return clewhttp.Transport(base)
}

// service runs one of our services for the length of the test.
func (h *house) service(t *testing.T) (url string) {
	t.Helper()
	l := library{
		wrap:      func(next http.Handler) http.Handler { return clewhttp.Handler(next) },
		transport: h.transport(t, &http.Transport{Protocols: h.protocols()}),
		view:      viewOurs,
	}
	server := httptest.NewUnstartedServer(l.handler())
	server.Config.Protocols = h.protocols()
	if h.h2c {
		server.Config.Protocols.SetHTTP1(true) // for the request that the test sends
	}
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

func viewOurs(ctx context.Context, r *record) {
	sc := trace.SpanContextFromContext(ctx)
	r.TraceID, r.SpanID, r.Sampled = sc.TraceID().String(), sc.SpanID().String(), sc.IsSampled()
	if span, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan); ok && span.Parent().IsValid() {
		r.ParentID = span.Parent().SpanID().String()
	}
}

// startOurs is a service of ours as a process, set up by its environment.
func startOurs() (library, error) {
	// Its standard input ends it, and there is nothing to send.
	_, err := otelsetup.Start(context.Background(), otelsetup.WithoutDefaultTransport())
	return library{
		wrap:      func(next http.Handler) http.Handler { return clewhttp.Handler(next) },
		transport: clewhttp.Transport(&http.Transport{DisableKeepAlives: true}),
		view:      viewOurs,
	}, err
}

// protocols is nil, for the default ones, unless HTTP/2 is wanted.
func (h *house) protocols() *http.Protocols {
	if !h.h2c {
		return nil
	}
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// spans returns what has been exported of a trace, by span id. Where the
// others export to the store too, it waits for the server spans of theirs, and
// fills in their parents.
func (h *house) spans(t *testing.T, traceID string, theirs ...*record) map[string]span {
	t.Helper()
	if err := h.telemetry.ForceFlush(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := make(map[string]span)
	if !h.shared {
		theirs = nil
	}
	eventually(t, func() bool {
		parents := make(map[string]string)
		for _, s := range h.store.Spans() {
			id := hexID(s.GetSpanId())
			parents[id] = hexID(s.GetParentSpanId())
			if hexID(s.GetTraceId()) == traceID {
				spans[id] = s
			}
		}
		complete := true
		for _, r := range theirs {
			parent, ok := parents[r.SpanID]
			r.ParentID = parent
			complete = complete && (ok || r.SpanID == "")
		}
		return complete
	})
	return spans
}

// eventually waits for what happens in another process.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatal("it did not happen in 20 s")
		}
	}
}

// hexID formats an id; one that is all zeros or missing is empty.
func hexID(id []byte) string {
	if bytes.Count(id, []byte{0}) == len(id) {
		return ""
	}
	return hex.EncodeToString(id)
}
