package otelsetup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// TestShutdownCountsWhatIsLost sends to collectors that behave badly, and
// compares what Shutdown says with what arrived. Where there is no end to
// waiting, the context ends as soon as the first request is under way, and
// nothing else does: a Shutdown that waits for the collector does not return.
func TestShutdownCountsWhatIsLost(t *testing.T) {
	for _, test := range []struct {
		name    string
		collect http.HandlerFunc
		lost    int64
		endless bool
	}{
		{"all is well", nil, 0, false},
		{"refuses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, 7, false},
		{"asks to come back in an hour", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, 7, true},
		{"never answers", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 7, true},
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
			checkLost(t, server.URL, test.lost, test.endless)
		})
	}
	t.Run("stalls in the TLS handshake", func(t *testing.T) {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		checkLost(t, "https://"+listener.Addr().String(), 7, true)
	})
	t.Run("is not there", func(t *testing.T) { checkLost(t, "http://127.0.0.1:1", 7, true) })
}

// knock tells that a request is under way.
type knock struct {
	next http.RoundTripper
	done chan<- struct{}
}

func (k knock) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case k.done <- struct{}{}:
	default:
	}
	return k.next.RoundTrip(r)
}

func checkLost(t *testing.T, url string, want int64, endless bool) {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	knocked := make(chan struct{}, 1)
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.NewTextHandler(os.Stderr, nil)),
		otelsetup.WithOTLPTransport(func(_ string, next http.RoundTripper) http.RoundTripper { return knock{next, knocked} }))
	if err != nil {
		t.Fatal(err)
	}
	for range 7 {
		ctx, span := otel.Tracer("test").Start(t.Context(), "work")
		slog.DebugContext(ctx, "not recorded twice")
		span.End()
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(time.Hour))
	defer cancel()
	if endless {
		go func() {
			<-knocked
			cancel()
		}()
	}
	err = telemetry.Shutdown(ctx)
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
	if endless && !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v, want that the context ended", err)
	}
}

// TestLossIsSaid fills the queue while the collector is away, which has been
// said already.
func TestLossIsSaid(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	t.Setenv("CLEW_DELIVERY_QUEUE_SIZE", "65536")
	var printed bytes.Buffer
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
	if err != nil {
		t.Fatal(err)
	}
	export := func(value string) {
		_, span := otel.Tracer("test").Start(t.Context(), "work"+value)
		span.End()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := telemetry.ForceFlush(ctx); err == nil {
			t.Error("ForceFlush returned nil, and nobody took the span")
		}
	}
	export("")
	for range 2 {
		random := make([]byte, 40<<10) // does not shrink below 40 KiB
		for i := range random {
			random[i] = byte(' ' + rand.IntN('~'-' '))
		}
		export(string(random))
	}
	telemetry.Shutdown(expired()) //nolint:errcheck // what it says is tested elsewhere
	for _, want := range []string{"cannot be delivered", "dropped"} {
		if n := strings.Count(printed.String(), want); n != 1 {
			t.Errorf("%q is said %d times, want once, in\n%s", want, n, printed.String())
		}
	}
}

func TestUndeliveredErrorNamesTheSignal(t *testing.T) {
	err := &otelsetup.UndeliveredError{Signal: "logs", Undelivered: 3, Recorded: 10}
	if got, want := err.Error(), "logs: 3 of 10 log records not delivered"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBadCustomDelivery tells what a program got wrong, and delivers as the
// environment says.
func TestBadCustomDelivery(t *testing.T) {
	store := &otlpreceiver.Store{}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.CustomizeDelivery(func(c delivery.Config) delivery.Config {
			c.QueueSize = 1
			return c
		}))
	if err == nil || !strings.Contains(err.Error(), "CustomizeDelivery: delivery: Config.QueueSize is 1") {
		t.Errorf("Start returned %v", err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := telemetry.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if len(store.Spans()) != 1 {
		t.Errorf("%d spans arrived, want 1", len(store.Spans()))
	}
}
