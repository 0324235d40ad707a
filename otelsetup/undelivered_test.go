package otelsetup_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// TestShutdownCountsWhatIsLost sends to collectors that behave badly, with a
// short deadline, and compares what Shutdown says with what arrived.
func TestShutdownCountsWhatIsLost(t *testing.T) {
	for _, test := range []struct {
		name    string
		collect http.HandlerFunc
		lost    int64
	}{
		{"all is well", nil, 0},
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, 7},
		{"asks to come back in an hour", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, 7},
		{"never answers", func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, 7},
		{"answers a byte at a time", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			for r.Context().Err() == nil {
				w.Write([]byte{0})
				http.NewResponseController(w).Flush() //nolint:errcheck // a test
				select {
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := &otlpreceiver.Store{}
			// A server notices that its client has gone once it has read the body.
			var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
				test.collect(w, r)
			})
			if test.collect == nil {
				handler = store.Handler()
			}
			server := httptest.NewServer(handler)
			defer server.Close()
			checkLost(t, server.URL, test.lost)
		})
	}
	t.Run("stalls in the TLS handshake", func(t *testing.T) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		checkLost(t, "https://"+listener.Addr().String(), 7)
	})
	t.Run("is not there", func(t *testing.T) { checkLost(t, "http://127.0.0.1:1", 7) })
}

func checkLost(t *testing.T, url string, want int64) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		ctx, span := otel.Tracer("test").Start(t.Context(), "work")
		slog.DebugContext(ctx, "not recorded twice")
		span.End()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	err = telemetry.Shutdown(ctx)
	// ctx ends on time. That Shutdown does too shows in the test's own timeout
	// only; what it must not do is wait for the collector.
	var lost *otelsetup.UndeliveredError
	if !errors.As(err, &lost) {
		lost = &otelsetup.UndeliveredError{Signal: "traces", Recorded: 7}
	}
	if lost.Signal != "traces" || lost.Undelivered != want || lost.Recorded != 7 {
		t.Errorf("Shutdown returned %v, want that %d of 7 spans were lost", err, want)
	}
	if (err != nil) != (want > 0) {
		t.Errorf("Shutdown returned %v", err)
	}
}

func TestUndeliveredErrorNamesTheSignal(t *testing.T) {
	err := &otelsetup.UndeliveredError{Signal: "logs", Undelivered: 3, Recorded: 10}
	if got, want := err.Error(), "logs: 3 of 10 log records not delivered"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
