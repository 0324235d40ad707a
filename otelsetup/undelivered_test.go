package otelsetup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
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
		otelsetup.Customize(extend.Customizers{
			OTLPTransport: func(_ string, next http.RoundTripper) http.RoundTripper { return knock{next, knocked} },
		}))
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
	var lost *delivery.UndeliveredError
	if !errors.As(err, &lost) {
		lost = &delivery.UndeliveredError{Signal: delivery.Traces, Accepted: 7}
	}
	if lost.Signal != delivery.Traces || lost.Items != want || lost.Accepted != 7 {
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
	for range 6 {
		random := make([]byte, 14<<10) // does not shrink below 11 KiB
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

// TestShutdownSaysOnceWhatWasDropped, with the reason and where it was to go.
func TestShutdownSaysOnceWhatWasDropped(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such tenant", http.StatusUnauthorized) }))
	defer refuses.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name, url string
		flush     context.Context
		want      string
	}{
		{"the queue was full", "http://127.0.0.1:1", ended, "dropped 4 (queue_full): http://127.0.0.1:1/v1/traces: the queue of 1 spans is full"},
		{"the collector refused", refuses.URL, t.Context(), `dropped 5 (401): ` + refuses.URL + `/v1/traces: 401 Unauthorized: "no such tenant"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", test.url)
			t.Setenv("OTEL_METRICS_EXPORTER", "none")
			t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
			t.Setenv("CLEW_DELIVERY_REFUSED_TIMEOUT", "1")
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				_, span := otel.Tracer("test").Start(t.Context(), "work")
				span.End()
				_ = telemetry.ForceFlush(test.flush)
			}
			err = telemetry.Shutdown(t.Context())
			lost, ok := errors.AsType[*delivery.UndeliveredError](err)
			if !ok || lost.Items != 5 || lost.URL != test.url+"/v1/traces" || strings.Count(err.Error(), "dropped") != 1 || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("Shutdown returned %v, want %s", err, test.want)
			}
		})
	}
}

// TestTextThatIsNotUTF8 has everything delivered, bad texts with U+FFFD.
func TestTextThatIsNotUTF8(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "http/json"} {
		t.Run(protocol, func(t *testing.T) {
			store := &otlpreceiver.Store{}
			server := httptest.NewServer(store.Handler())
			defer server.Close()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
			t.Setenv("OTEL_SERVICE_NAME", "sh\xffp")
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			handler := clewhttp.Handler(http.NotFoundHandler())
			for _, path := range []string{"/good", "/%ff", "/good"} {
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
				request.Header.Set("User-Agent", "b\xffd")
				handler.ServeHTTP(httptest.NewRecorder(), request)
			}
			ctx, span := otel.Tracer("test").Start(t.Context(), "sp\xffn", trace.WithLinks(trace.Link{
				SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
				Attributes:  []otelattribute.KeyValue{otelattribute.String("k\xff", "v\xff")},
			}))
			span.AddEvent("ev\xffnt", trace.WithAttributes(otelattribute.StringSlice("k", []string{"v\xff"})))
			span.SetStatus(codes.Error, "st\xfftus")
			slog.InfoContext(ctx, "m\xffssage", "k\xff", "v\xff")
			slog.InfoContext(ctx, "good")
			span.End()
			for _, name := range []string{"counter", "histogram"} {
				attrs := metric.WithAttributes(otelattribute.String("k", "v\xff"))
				if name == "counter" {
					counter, _ := otel.Meter("test").Int64Counter(name)
					counter.Add(ctx, 1, attrs)
				} else {
					histogram, _ := otel.Meter("test").Float64Histogram(name)
					histogram.Record(ctx, 1, attrs)
				}
			}
			if err := telemetry.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			arrived := map[string]bool{}
			for _, s := range store.Spans() {
				arrived["span "+s.GetName()] = true
				if s.Service() != "sh\uFFFDp" {
					t.Errorf("a span comes from %q", s.Service())
				}
			}
			for _, l := range store.Logs() {
				arrived["log "+l.GetBody().GetStringValue()] = true
			}
			for _, m := range store.Metrics() {
				arrived["metric "+m.GetName()] = true
			}
			if n := len(store.Spans()); n != 4 {
				t.Errorf("%d spans arrived, want 4", n)
			}
			for _, want := range []string{"span GET", "span sp\uFFFDn", "log m\uFFFDssage", "log good", "metric counter", "metric histogram"} {
				if !arrived[want] {
					t.Errorf("%q is missing: %v", want, slices.Collect(maps.Keys(arrived)))
				}
			}
		})
	}
}

func TestDamagedSpoolIsSaid(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), []byte("clewsp1\n12345678 is not a record"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CLEW_DELIVERY_SPOOL_DIR", dir)
	var printed bytes.Buffer
	_, _, flush := start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
	flush()
	if n := strings.Count(printed.String(), "damaged"); n != 1 {
		t.Errorf("damage is said %d times, want once, in\n%s", n, printed.String())
	}
}

// complaining is a log handler that meets errors of its own.
type complaining struct {
	slog.Handler
	said atomic.Int32
}

func (c *complaining) Handle(context.Context, slog.Record) error {
	if c.said.Add(1) == 1 {
		otel.Handle(errors.New("no room to log in"))
	}
	return nil
}

func TestLogHandlerMayReportErrors(t *testing.T) {
	handler := &complaining{Handler: slog.DiscardHandler}
	start(t, otelsetup.WithLogHandler(handler))
	otel.Handle(errors.New("something is wrong")) // must not wait for itself
	if handler.said.Load() == 0 {
		t.Error("nothing was said")
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
		otelsetup.Customize(extend.Customizers{Delivery: func(c delivery.Config) delivery.Config {
			c.QueueSize = 1
			return c
		}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := problems(telemetry); !strings.Contains(got, "Customizers.Delivery: delivery: Config.QueueSize is 1") {
		t.Errorf("problems %s", got)
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

// TestATransportThatIsNilChangesNothing: what sends then still has the certificates.
func TestATransportThatIsNilChangesNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	var got []http.RoundTripper
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.Customize(extend.Customizers{OTLPTransport: func(string, http.RoundTripper) http.RoundTripper { return nil }}),
		otelsetup.Customize(extend.Customizers{OTLPTransport: func(_ string, next http.RoundTripper) http.RoundTripper {
			got = append(got, next)
			return next
		}}))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_ = telemetry.Shutdown(ended) // nobody listens
	if len(got) != 3 || slices.Contains(got, nil) {
		t.Errorf("the next one was given %v", got)
	}
}
