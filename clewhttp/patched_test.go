package clewhttp_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/patched"
)

// TestPatchedServerTells stands in for a patched net/http: the handler gets the
// server's own writer, the status and the size come from the server, and a panic
// is on the span but not in the log.
func TestPatchedServerTells(t *testing.T) {
	var printed bytes.Buffer
	previous := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&printed, nil)))
	defer slog.SetDefault(previous)
	own := httptest.NewRecorder()
	for _, test := range []struct {
		name           string
		response       patched.Response
		panics         any
		status, size   string
		code           codes.Code
		description    string
		recordedEvents int
	}{
		{name: "answered", response: patched.Response{Status: 404, Written: 7}, status: "404", size: "7"},
		{name: "nothing written", status: "200"},
		{name: "failed", response: patched.Response{Status: 503}, status: "503", code: codes.Error},
		{name: "panicked", response: patched.Response{}, panics: "boom", code: codes.Error, description: "panic: boom", recordedEvents: 1},
		{name: "aborted", panics: http.ErrAbortHandler, code: codes.Error, description: http.ErrAbortHandler.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			tel := newTelemetry(t)
			handler := tel.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if w != http.ResponseWriter(own) {
					t.Errorf("the handler gets a %T", w)
				}
				if test.panics != nil {
					panic(test.panics)
				}
			}), clewhttp.WithPatched(&patched.Server{
				Response: func(w http.ResponseWriter) (patched.Response, bool) {
					return test.response, w == http.ResponseWriter(own)
				},
				Panic: func() (any, bool) { return test.panics, test.panics != nil },
				Named: func() bool { return false },
			}))
			func() {
				defer func() {
					if v := recover(); v != test.panics {
						t.Errorf("the panic went on as %v", v)
					}
				}()
				handler.ServeHTTP(own, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			}()
			span := tel.only(t, trace.SpanKindServer)
			if got := text(span, "http.response.status_code"); got != test.status {
				t.Errorf("status %q, want %q", got, test.status)
			}
			if got := text(span, "http.response.body.size"); got != test.size {
				t.Errorf("size %q, want %q", got, test.size)
			}
			if got := span.Status(); got.Code != test.code || got.Description != test.description || len(span.Events()) != test.recordedEvents {
				t.Errorf("%+v with %d events", got, len(span.Events()))
			}
		})
	}
	if printed.Len() > 0 {
		t.Errorf("logged: %s", printed.String())
	}
}
