package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

func spooled(dir string) delivery.Config {
	cfg := quick(new(handled))
	cfg.SpoolDir = dir
	return cfg
}

// killed copies the spool as a process killed now would leave it.
func killed(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestKilledProcessLeavesItsRequestsToTheNext(t *testing.T) {
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	dir := t.TempDir()
	cfg := spooled(dir)
	cfg.MinBackoff, cfg.MaxBackoff = time.Hour, time.Hour
	first := newTransport(t, cfg)
	names := postSpans(t, first, "http://"+addr, 0, 100)

	second := newTransport(t, spooled(killed(t, dir)))
	if st := second.Stats(delivery.Traces); st.Queued != 100 {
		t.Fatalf("%+v: want 100 taken over", st)
	}
	back := newSink(t) // at another address: the first process is not really dead, and must not reach it
	names = append(names, postSpans(t, second, back.URL, 100, 1)...)
	flush(t, second)
	if lost, twice := back.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	for _, r := range back.got {
		if r.Header.Get("Api-Key") != "secret" {
			t.Error("a request taken over went without the exporter's headers")
		}
	}
}

// TestRecoveredRequestsAreNotBoundByMaxQueueItems: a bound for what waits in memory takes
// nothing away that is on disk.
func TestRecoveredRequestsAreNotBoundByMaxQueueItems(t *testing.T) {
	s, nowhere := newStoppedSink(t), newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	_ = nowhere.Listener.Close()
	dir := t.TempDir()
	cfg := spooled(dir)
	cfg.MinBackoff, cfg.MaxBackoff = time.Hour, time.Hour
	first := newTransport(t, cfg)
	// At another address: the first process is not really dead, and must not reach what is back.
	names := postSpans(t, first, "http://"+nowhere.Listener.Addr().String(), 0, 100)

	second := newTransport(t, spooled(killed(t, dir)))
	p := second.SpanProcessor(delivery.Route{URL: "http://" + addr + "/v1/traces"}, delivery.Batch{MaxItems: 1, MaxQueueItems: 10})
	endSpans(p, 100, 20)
	_ = p.ForceFlush(t.Context())
	if st := second.Stats(delivery.Traces); st.Queued < 110 || st.Dropped["queue_full"] < 9 || !sums(st) {
		t.Errorf("%+v: want 100 recovered ones and about the 10 newest", st)
	}
	back := restart(t, addr)
	flush(t, second)
	if lost, twice := back.lost(names); lost+twice != 0 {
		t.Errorf("of what was on disk, %d are lost and %d arrived twice", lost, twice)
	}
}

func TestShutdownKeepsTheRestInTheSpool(t *testing.T) {
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	dir := t.TempDir()
	cfg := spooled(dir)
	tr := newTransport(t, cfg)
	names := postSpans(t, tr, "http://"+addr, 0, 30)
	// Not the deadline ends it, but that the server is known to be away.
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	err := tr.Shutdown(ctx)
	var u *delivery.UndeliveredError
	if !errors.As(err, &u) || u.Items != 30 || u.Kept != 30 || u.Dir != dir || !strings.Contains(err.Error(), "next start") {
		t.Fatalf("Shutdown: %v", err)
	}
	if st := tr.Stats(delivery.Traces); st.Kept != 30 || st.DroppedTotal() != 0 || st.Queued != 0 {
		t.Errorf("%+v: want 30 kept", st)
	}

	// A process that exports nothing keeps them for the one after it.
	idle := newTransport(t, cfg)
	if err := idle.Shutdown(ctx); !errors.As(err, &u) || u.Items != 30 || u.Accepted != 30 || u.Kept != 30 || u.Dir != dir {
		t.Errorf("Shutdown of an idle process: %v", err)
	}

	back := restart(t, addr)
	next := newTransport(t, cfg)
	names = append(names, postSpans(t, next, back.URL, 30, 1)...)
	if err := next.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if lost, twice := back.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.seg")); len(left) != 0 {
		t.Errorf("%v left although everything is delivered", left)
	}
}

func TestDeliveredRequestsAreNotSentAgain(t *testing.T) {
	s := newStoppedSink(t)
	s.fault = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if len(spanNames(body)) > 2 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return true
		}
		return false
	}
	s.Start()
	dir := t.TempDir()
	tr := newTransport(t, spooled(dir))
	names := postSpans(t, tr, s.URL, 0, 50)
	post(t, tr, delivery.Traces, s.URL, traceRequest("a", "b", "c", "d"))
	flush(t, tr)
	next := newTransport(t, spooled(killed(t, dir)))
	if st := next.Stats(delivery.Traces); st.Queued != 0 {
		t.Errorf("%d spans are found in the spool after their delivery", st.Queued)
	}
	if lost, twice := s.lost(append(names, "a", "b", "c", "d")); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
}

func TestSpoolThatFailsLeavesMemory(t *testing.T) {
	s := newSink(t)
	dir := filepath.Join(t.TempDir(), "spool")
	var h handled
	cfg := quick(&h)
	cfg.SpoolDir = dir
	tr := newTransport(t, cfg)
	names := postSpans(t, tr, s.URL, 0, 10)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	names = append(names, postSpans(t, tr, s.URL, 10, 10)...)
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	if told := h.all(t, tr); len(told) != 1 || !strings.Contains(told[0].Error(), "memory only") {
		t.Errorf("told %v: want the fall back once", told)
	}
}

// A journal is a spool behind a processor that exports each span as it ends.
func TestJournalHasEverySpanThatEnded(t *testing.T) {
	ctx := context.Background()
	s := newSink(t)
	dir := t.TempDir()
	cfg := spooled(dir)
	cfg.Linger = time.Hour
	tr := newTransport(t, cfg)
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(s.URL+"/v1/traces"), otlptracehttp.WithHTTPClient(tr.Client(delivery.Traces)))
	if err != nil {
		t.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(exporter)))
	var names []string
	for i := range 500 {
		name := fmt.Sprint("span ", i)
		names = append(names, name)
		_, span := tp.Tracer("t").Start(ctx, name)
		span.End()
		if i%100 == 99 {
			next := newTransport(t, spooled(killed(t, dir)))
			if st := next.Stats(delivery.Traces); st.Queued != int64(i+1) {
				t.Fatalf("%d spans in the spool after %d ended", st.Queued, i+1)
			}
		}
	}
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 || len(s.got) != 1 {
		t.Errorf("%d lost, %d duplicates, in %d requests", lost, twice, len(s.got))
	}
	if err := tp.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestTwoTransportsOnOneSpool(t *testing.T) {
	dir := t.TempDir()
	newTransport(t, spooled(dir))
	if _, err := delivery.New(spooled(dir)); err == nil || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("error is %v: want one that names the process", err)
	}
}

// A directory that is only removed is made again: the next process finds what
// was exported since.
func TestRemovedSpoolIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	cfg := quick(new(handled))
	cfg.SpoolDir = dir
	tr := newTransport(t, cfg)
	postSpans(t, tr, "http://"+addr, 0, 3)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	names := postSpans(t, tr, "http://"+addr, 3, 3)
	crash(t, dir, names)
}

func TestRemovedSpoolKeepsNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	tr := newTransport(t, spooled(dir))
	postSpans(t, tr, "http://"+addr, 0, 3)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := tr.Shutdown(ctx)
	if st := tr.Stats(delivery.Traces); err == nil || st.Kept != 0 || st.DroppedTotal() != 3 {
		t.Errorf("Shutdown returned %v, %+v; want 3 dropped", err, st)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestSpoolOfALaterClock: the bubble of the second process begins an hour before
// the first one's requests.
func TestSpoolOfALaterClock(t *testing.T) {
	const url = "http://collector/v1/traces"
	dir := t.TempDir()
	process := func(t *testing.T, base roundTripper) *delivery.Transport {
		t.Helper()
		cfg := spooled(dir)
		cfg.Linger = time.Second
		tr := newTransport(t, cfg)
		client := tr.ClientVia(delivery.Traces, delivery.Route{Base: base, URL: url})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(traceRequest("a")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return tr
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour)
		tr := process(t, func(*http.Request) (*http.Response, error) { return nil, errors.New("nobody is there") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		tr.Shutdown(ctx) //nolint:errcheck // nothing is delivered
	})
	synctest.Test(t, func(t *testing.T) {
		tr := process(t, func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if st := tr.Stats(delivery.Traces); st.Delivered != 2 {
			t.Errorf("%+v: want both delivered after 2 s", st)
		}
		if err := tr.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// crash reads a spool as the process after a kill would, from a copy, as its
// owner still runs.
func crash(t *testing.T, dir string, want []string) {
	t.Helper()
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	back := newSink(t)
	cfg := quick(new(handled))
	cfg.SpoolDir = left
	tr := newTransport(t, cfg)
	tr.ClientVia(delivery.Traces, delivery.Route{URL: back.URL + "/v1/traces"})
	flush(t, tr)
	if lost, twice := back.lost(want); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
}
