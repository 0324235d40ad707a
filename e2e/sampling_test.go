package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	_ "github.com/clewtrace/clew/contrib/jaegerremote"
	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/otelsetup"
)

func TestJaegerServesSamplingStrategies(t *testing.T) {
	strategies := filepath.Join(t.TempDir(), "strategies.json")
	const content = `{
		"default_strategy": {"type": "probabilistic", "param": 0.25},
		"service_strategies": [{"service": "orders", "type": "probabilistic", "param": 0.5}]
	}`
	if err := os.WriteFile(strategies, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server := jaeger.Start(t, jaeger.Config{SamplingStrategies: strategies})
	for service, want := range map[string]float64{"orders": 0.5, "another": 0.25} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.Sampling+"?service="+service, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var answer struct {
			ProbabilisticSampling struct{ SamplingRate float64 }
		}
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if got := answer.ProbabilisticSampling.SamplingRate; got != want {
			t.Errorf("service %s is sampled at %v, want %v", service, got, want)
		}
	}
}

// perOperation keeps every checkout and nothing else.
const perOperation = `{
	"default_strategy": {"type": "probabilistic", "param": 0},
	"service_strategies": [{
		"service": "orders", "type": "probabilistic", "param": 0,
		"operation_strategies": [{"operation": "checkout", "type": "probabilistic", "param": 1}]
	}]
}`

// startJaegerWith starts Jaeger with the given sampling strategies.
func startJaegerWith(t *testing.T, strategies string) *jaeger.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "strategies.json")
	if err := os.WriteFile(file, []byte(strategies), 0o600); err != nil {
		t.Fatal(err)
	}
	return jaeger.Start(t, jaeger.Config{SamplingStrategies: file})
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startRemote starts telemetry whose sampler asks endpoint, and until then
// keeps the given share.
func startRemote(t *testing.T, endpoint, initialRate string) *lockedBuffer {
	t.Helper()
	t.Setenv("OTEL_SERVICE_NAME", "orders")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_SAMPLER", "jaeger_remote")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "endpoint="+endpoint+",pollingIntervalMs=20,initialSamplingRate="+initialRate)
	printed := &lockedBuffer{}
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithoutDefaultTransport(),
		otelsetup.WithLogHandler(slog.NewTextHandler(printed, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := telemetry.Shutdown(context.Background()); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
	return printed
}

func kept(ctx context.Context, operation string) bool {
	_, span := otel.Tracer("e2e").Start(ctx, operation)
	defer span.End()
	return span.SpanContext().IsSampled()
}

// waitUntil asks again and again, for as long as the test may run.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not after a minute", what)
		}
	}
}

func TestJaegerRemoteSamplesPerOperation(t *testing.T) {
	server := startJaegerWith(t, perOperation)
	startRemote(t, server.Sampling, "0")
	waitUntil(t, "checkout is kept", func() bool { return kept(t.Context(), "checkout") })
	for range 100 {
		if kept(t.Context(), "browse") {
			t.Fatal("browse is kept, against its strategy")
		}
		if !kept(t.Context(), "checkout") {
			t.Fatal("checkout is dropped, against its strategy")
		}
	}
}

func TestJaegerRemoteUnreachableAtStart(t *testing.T) {
	server := startJaegerWith(t, perOperation)
	upstream, err := url.Parse(server.Sampling)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close() // nobody listens there yet

	printed := startRemote(t, "http://"+addr+upstream.Path, "1")
	if !kept(t.Context(), "browse") {
		t.Error("the initial sampler keeps everything, yet browse is dropped")
	}
	waitUntil(t, "the failure is said", func() bool { return strings.Contains(printed.String(), addr) })
	if !kept(t.Context(), "browse") {
		t.Error("the initial sampler is not in effect while Jaeger cannot be reached")
	}

	listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: upstream.Scheme, Host: upstream.Host})
	}})
	proxy.Listener.Close()
	proxy.Listener = listener
	proxy.Start()
	defer proxy.Close()
	waitUntil(t, "the strategy takes effect", func() bool { return !kept(t.Context(), "browse") })
	if !kept(t.Context(), "checkout") {
		t.Error("checkout is dropped, against its strategy")
	}
	if n := strings.Count(printed.String(), "level=WARN"); n != 1 {
		t.Errorf("the failure is said %d times, want once:\n%s", n, printed)
	}
}
