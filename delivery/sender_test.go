package delivery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

// sends is a Sender that answers as a gRPC server does, without a network.
type sends struct {
	answer func(attempt int, names []string) ([]byte, error)

	mu     sync.Mutex
	times  []time.Time
	spans  map[string]int
	closed int
}

func newSends(answer func(attempt int, names []string) ([]byte, error)) *sends {
	return &sends{answer: answer, spans: make(map[string]int)}
}

func (s *sends) Send(_ context.Context, signal delivery.Signal, request []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if decoded(signal, request) < 0 || s.closed > 0 {
		return nil, &delivery.SendError{Reason: "INTERNAL", Err: errors.New("not a request, or sent after Close")}
	}
	s.times = append(s.times, time.Now())
	names := spanNames(request)
	response, err := s.answer(len(s.times), names)
	if err == nil {
		for _, name := range names {
			s.spans[name]++
		}
	}
	return response, err
}

func (s *sends) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed++
	return nil
}

// via hands spans over for a Sender.
func via(t *testing.T, client *http.Client, target string, body []byte, header ...string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

const target = "dns:///collector:4317"

func TestSenderTakesThePlaceOfHTTP(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	for rule, tc := range map[string]struct {
		first     error // of the first attempt
		attempts  int
		delivered bool
		reason    string
		told      string
	}{
		"taken":                        {nil, 1, true, "", ""},
		"unavailable is repeated":      {&delivery.SendError{Reason: "UNAVAILABLE", Retry: true, Err: errors.New("draining")}, 2, true, "", "UNAVAILABLE: draining"},
		"refused is repeated":          {&delivery.SendError{Reason: "UNAVAILABLE", Refused: true, Err: refused}, 2, true, "", "connection refused"},
		"another error is repeated":    {errors.New("transport is closing"), 2, true, "", "transport is closing"},
		"a final answer is not":        {&delivery.SendError{Reason: "INVALID_ARGUMENT", Err: errors.New("no such tenant")}, 1, false, "INVALID_ARGUMENT", "no such tenant"},
		"one item is not divided":      {&delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Divide: true, Err: errors.New("too large")}, 1, false, "RESOURCE_EXHAUSTED", `span "a\x1b" of trace 00000000000000000000000000000000: RESOURCE_EXHAUSTED: too large`},
		"retry counts before divide":   {&delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Retry: true, Divide: true}, 2, true, "", "RESOURCE_EXHAUSTED"},
		"an error that says no reason": {&delivery.SendError{Err: errors.New("what")}, 1, false, "unknown", "what"},
	} {
		t.Run(rule, func(t *testing.T) {
			s := newSends(func(attempt int, _ []string) ([]byte, error) {
				if attempt == 1 {
					return nil, tc.first
				}
				return nil, nil
			})
			var h handled
			tr := newTransport(t, quick(&h))
			via(t, tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target}), target, traceRequest("a\x1b"))
			flush(t, tr)
			st := tr.Stats(delivery.Traces)
			if len(s.times) != tc.attempts || (st.Delivered == 1) != tc.delivered || st.Queued != 0 || st.DroppedTotal() != st.Dropped[tc.reason] || st.DroppedTotal()+st.Delivered != 1 {
				t.Errorf("%d attempts, %+v; want %d attempts, delivered %v, else %q", len(s.times), st, tc.attempts, tc.delivered, tc.reason)
			}
			told := h.all(t, tr)
			if (tc.told == "") != (len(told) == 0) || len(told) > 1 || len(told) == 1 && !strings.Contains(told[0].Error(), tc.told) {
				t.Errorf("told %v; want %q", told, tc.told)
			}
			if len(told) == 1 && st.Delivered == 1 && !strings.Contains(told[0].Error(), target) {
				t.Errorf("told %v; want the target named", told)
			}
			if s.closed != 1 {
				t.Errorf("closed %d times by Shutdown", s.closed)
			}
		})
	}
}

func TestSenderGetsPlainProtobuf(t *testing.T) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write(traceRequest("packed")); err != nil || zw.Close() != nil {
		t.Fatal(err)
	}
	s := newSends(func(int, []string) ([]byte, error) { return nil, nil })
	var h handled
	tr := newTransport(t, quick(&h))
	client := tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target, Gzip: true})
	via(t, client, target, traceRequest("plain"))
	via(t, client, target, packed.Bytes(), "Content-Encoding", "gzip")
	via(t, client, target, []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}`), "Content-Type", "application/json")
	flush(t, tr)
	if st := tr.Stats(delivery.Traces); s.spans["plain"] != 1 || s.spans["packed"] != 1 || st.Delivered != 2 || st.Dropped["corrupt"] != 1 {
		t.Errorf("%v arrived, %+v; want both, and JSON dropped", s.spans, st)
	}
}

func TestSenderTellsOfPartialSuccess(t *testing.T) {
	s := newSends(func(int, []string) ([]byte, error) {
		return proto.Marshal(&coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 2, ErrorMessage: "too old"}})
	})
	var h handled
	tr := newTransport(t, quick(&h))
	via(t, tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target}), target, traceRequest("a", "b", "c"))
	flush(t, tr)
	if st := tr.Stats(delivery.Traces); st.Delivered != 1 || st.Dropped["rejected"] != 2 {
		t.Errorf("%+v: want 1 delivered, 2 rejected", st)
	}
	h.all(t, tr)
	if d := h.drops(); len(d) != 1 || d[0].Items != 2 || !strings.Contains(d[0].Error(), "too old") {
		t.Errorf("told %v", d)
	}
}

func TestSenderSaysWhenToRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(func(attempt int, _ []string) ([]byte, error) {
			if attempt == 1 {
				return nil, &delivery.SendError{Reason: "RESOURCE_EXHAUSTED", Retry: true, RetryAfter: 30 * time.Second}
			}
			return nil, nil
		})
		tr := newTransport(t, delivery.Config{ErrorHandler: new(handled)})
		via(t, tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target}), target, traceRequest("a"))
		time.Sleep(time.Hour)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.times) != 2 || s.times[1].Sub(s.times[0]) != 30*time.Second {
			t.Errorf("attempts at %v: want two, 30 s apart", s.times)
		}
	})
}

func TestSenderIsBoundedByTheTimeoutOfItsRoute(t *testing.T) {
	for timeout, want := range map[time.Duration]bool{0: true, time.Second: true, -1: false} {
		synctest.Test(t, func(t *testing.T) {
			var h handled
			tr := newTransport(t, delivery.Config{ErrorHandler: &h})
			via(t, tr.ClientVia(delivery.Traces, delivery.Route{Sender: silent{}, URL: target, Timeout: timeout}), target, traceRequest("a"))
			time.Sleep(time.Minute)
			if st := tr.Stats(delivery.Traces); (st.Retried > 0) != want {
				t.Errorf("timeout %v: %d attempts given up", timeout, st.Retried)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if want && (len(h.errs) != 1 || !strings.Contains(h.errs[0].Error(), "no answer within")) {
				t.Errorf("timeout %v: told %v", timeout, h.errs)
			}
		})
	}
}

// silent never answers.
type silent struct{}

func (silent) Send(ctx context.Context, _ delivery.Signal, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) Close() error { return nil }

func TestSenderOfALateRouteIsClosed(t *testing.T) {
	s := newSends(func(int, []string) ([]byte, error) { return nil, nil })
	tr := newTransport(t, quick(new(handled)))
	if err := tr.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	tr.SpanProcessor(delivery.Route{Sender: s}, delivery.Batch{})
	if s.closed != 1 {
		t.Errorf("closed %d times, want 1", s.closed)
	}
}

// TestFlushEndsThePauseOfEachRequest: one that was never tried may stand before one that
// waits after a failure, because requests that linger are sent together past larger ones.
func TestFlushEndsThePauseOfEachRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSends(func(attempt int, _ []string) ([]byte, error) {
			if attempt == 1 {
				return nil, errors.New("away")
			}
			return nil, nil
		})
		cfg := quick(new(handled))
		cfg.Senders, cfg.Linger, cfg.MinBackoff, cfg.MaxBackoff = 1, time.Hour, time.Hour, time.Hour
		tr := newTransport(t, cfg)
		client := tr.ClientVia(delivery.Traces, delivery.Route{Sender: s, URL: target})
		for _, name := range []string{"a", strings.Repeat("large", 100<<10), "b"} {
			via(t, client, target, traceRequest(name))
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := tr.ForceFlush(ctx); err == nil {
			t.Fatal("delivered by the first attempt")
		}
		flush(t, tr)
	})
}
