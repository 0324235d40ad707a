package otelsetup_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

func init() { programs["works"] = worker }

// worker is a program that ends a span, with a log record in it, each millisecond until its standard input
// does, and prints the number of each when it has ended. It never has more than
// it was told to with workEnv.
func worker(context.Context) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is what counts
	}()
	var limit int
	if _, err := fmt.Sscan(os.Getenv(workEnv), &limit); err != nil {
		return err
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
		if n == limit {
			continue
		}
		ctx, span := otel.Tracer("worker").Start(context.Background(), fmt.Sprintf("span %d", n))
		slog.InfoContext(ctx, "working")
		span.End()
		n++
		fmt.Println(n)
	}
}

const workEnv = "OTELSETUP_TEST_WORK"

// work is a running worker.
type work struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	lines  *bufio.Scanner
	stderr strings.Builder
	done   int
}

func startWork(t *testing.T, limit int, env ...string) *work {
	t.Helper()
	w := &work{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	w.cmd.Env = append(os.Environ(), append(env, programEnv+"=works", "OTEL_LOGS_EXPORTER=otlp", fmt.Sprintf("%s=%d", workEnv, limit))...)
	w.cmd.Stderr = &w.stderr
	var err error
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.lines = bufio.NewScanner(out)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return w
}

// until returns when n more spans have ended.
func (w *work) until(t *testing.T, n int) {
	t.Helper()
	for goal := w.done + n; w.done < goal; {
		if !w.lines.Scan() {
			t.Fatalf("the program ended after %d spans\n%s", w.done, w.stderr.String())
		}
		if _, err := fmt.Sscan(w.lines.Text(), &w.done); err != nil {
			t.Fatal(err)
		}
	}
}

// finish lets the program end, and returns what it had to say.
func (w *work) finish(t *testing.T) (stderr string) {
	t.Helper()
	w.stdin.Close()
	for w.lines.Scan() {
		if _, err := fmt.Sscan(w.lines.Text(), &w.done); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.cmd.Wait(); err != nil {
		t.Error(err)
	}
	return w.stderr.String()
}

// kill is kill -9.
func (w *work) kill(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for w.lines.Scan() {
		if _, err := fmt.Sscan(w.lines.Text(), &w.done); err != nil {
			break // the last line is torn
		}
	}
	var exit *exec.ExitError
	if err := w.cmd.Wait(); !errors.As(err, &exit) {
		t.Errorf("killed: %v", err)
	}
}

// site is an address at which a collector is there or not.
type site struct {
	otlpreceiver.Store
	addr   string
	server *http.Server
	served chan struct{}
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{addr: "127.0.0.1:0"}
	s.up(t)
	t.Cleanup(s.down)
	return s
}

func (s *site) up(t *testing.T) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: time.Minute}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener) // until it is closed
	}()
}

// down lets the requests under way have their answer, as a restart does.
func (s *site) down() {
	_ = s.server.Shutdown(context.Background()) //nolint:errcheck // never an error with this context
	<-s.served
}

// missing compares the spans that arrived with those that ended.
func (s *site) missing(ended int) (missing, twice int) {
	seen := map[string]int{}
	for _, span := range s.Spans() {
		seen[span.GetName()]++
	}
	for n := range ended {
		switch got := seen[fmt.Sprintf("span %d", n)]; {
		case got == 0:
			missing++
		case got > 1:
			twice++
		}
	}
	return missing, twice
}

// TestCollectorRestart takes the collector away for as long as 5,000 spans take,
// which is 5 s, and for all three signals.
func TestCollectorRestart(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/protobuf", "http/json"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			w := startWork(t, -1, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.addr, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol)
			w.until(t, 1000)
			s.down()
			w.until(t, 5000)
			s.up(t)
			w.until(t, 500)
			stderr := w.finish(t)
			if missing, twice := s.missing(w.done); missing+twice > 0 {
				t.Errorf("of %d spans, %d are missing and %d arrived twice\n%s", w.done, missing, twice, stderr)
			}
			if n := len(s.Logs()); n != w.done {
				t.Errorf("of %d log records, %d arrived", w.done, n)
			}
			if len(s.Metrics()) == 0 {
				t.Error("no metrics arrived")
			}
			if strings.Contains(stderr, "not delivered") {
				t.Errorf("the program says that something was lost:\n%s", stderr)
			}
		})
	}
}

// TestKilledProcess kills a program that could not deliver anything. The next
// one, which records nothing itself, delivers what is in the spool.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		env  string
		lost int // at most
	}{
		{"a spool loses at most the batch that is collected and the one that is written", "CLEW_DELIVERY_SPOOL_SYNC=true", 2 * 512},
		{"a journal loses nothing", "CLEW_DELIVERY_JOURNAL=true", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.down()
			// The batch that waits is bounded by its size alone.
			env := []string{"CLEW_DELIVERY_SPOOL_DIR=" + t.TempDir(), test.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + s.addr, "OTEL_BSP_SCHEDULE_DELAY=3600000"}
			w := startWork(t, -1, env...)
			w.until(t, 2000)
			w.kill(t)
			s.up(t)
			stderr := startWork(t, 0, env...).finish(t)
			missing, twice := s.missing(w.done)
			t.Logf("of %d spans, %d are missing", w.done, missing)
			if missing > test.lost || twice > 0 {
				t.Errorf("of %d spans, %d are missing and %d arrived twice, want at most %d missing\n%s", w.done, missing, twice, test.lost, stderr)
			}
		})
	}
}

// TestForceFlushDelivers looks at the collector as soon as ForceFlush returns.
func TestForceFlushDelivers(t *testing.T) {
	store, telemetry, _ := start(t)
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := telemetry.ForceFlush(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(store.Spans()); n != 1 {
		t.Errorf("%d spans have arrived, want 1", n)
	}
}

// TestForceFlushTellsWhatWasDropped refuses the span for good.
func TestForceFlushTellsWhatWasDropped(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	if err := telemetry.ForceFlush(t.Context()); err == nil || !strings.Contains(err.Error(), "traces: 1 of 1 spans not delivered: dropped 1 (400): "+server.URL+"/v1/traces: span \"work\" of trace ") {
		t.Errorf("ForceFlush returned %v", err)
	}
	err = telemetry.Shutdown(context.Background())
	var lost *delivery.UndeliveredError
	if !errors.As(err, &lost) || lost.Signal != delivery.Traces || lost.Items != 1 || lost.Accepted != 1 {
		t.Errorf("Shutdown returned %v", err)
	}
}

// TestShutdownKeepsWhatIsSpooled has a day to wait and no collector: with a
// spool, there is nothing to wait for once it is known to be away.
func TestShutdownKeepsWhatIsSpooled(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("CLEW_DELIVERY_SPOOL_DIR", dir)
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	ctx, cancel := context.WithTimeout(context.Background(), 24*time.Hour)
	defer cancel()
	err = telemetry.Shutdown(ctx)
	var lost *delivery.UndeliveredError
	if !errors.As(err, &lost) || lost.Items != 1 || lost.Kept != 1 || !strings.Contains(err.Error(), "kept in "+dir) {
		t.Errorf("Shutdown returned %v, want that one span is kept", err)
	}
}

// TestDeliveryMetrics finds what delivery says about itself among what is
// exported.
func TestDeliveryMetrics(t *testing.T) {
	store, telemetry, _ := start(t)
	_, span := otel.Tracer("test").Start(t.Context(), "work")
	span.End()
	for range 3 {
		if err := telemetry.ForceFlush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var exported, series []int
	for _, m := range store.Metrics() {
		if m.GetName() == "otel.sdk.exporter.span.exported" {
			points := m.GetSum().GetDataPoints()
			exported, series = append(exported, int(points[0].GetAsInt())), append(series, len(points))
		}
	}
	if len(exported) != 3 || exported[2] != 1 {
		t.Errorf("spans exported, by collection: %v, want 3 that end with 1", exported)
	}
	if series[0] != series[2] {
		t.Errorf("the series grew: %v", series)
	}
}
