package delivery_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// scripted stands for the network where the clock is the test's own: a socket
// would keep a synctest bubble awake.
type scripted struct {
	mu    sync.Mutex
	times []time.Time
	spans []int
	do    func(attempt int) (*http.Response, error)
}

func (s *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.times = append(s.times, time.Now())
	s.spans = append(s.spans, len(spanNames(body)))
	n := len(s.times)
	s.mu.Unlock()
	return s.do(n)
}

func (s *scripted) attempts() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]time.Time(nil), s.times...)
}

func answer(code int, header ...string) (*http.Response, error) {
	resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
	for i := 0; i < len(header); i += 2 {
		resp.Header.Set(header[i], header[i+1])
	}
	return resp, nil
}

var errRefused = errors.New("connection refused")

func TestPausesDoubleUpToTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) { return nil, errRefused }}
		tr := newTransport(t, delivery.Config{Base: net, Senders: 1, MinBackoff: time.Second, MaxBackoff: 10 * time.Second, ErrorHandler: new(handled)})
		post(t, tr, delivery.Traces, "http://sink", traceRequest("a"))
		time.Sleep(5 * time.Minute)
		at := net.attempts()
		if len(at) < 30 {
			t.Fatalf("%d attempts in 5 minutes with pauses of at most 10 s", len(at))
		}
		for i := 1; i < len(at); i++ {
			most := min(time.Second<<min(i-1, 10), 10*time.Second)
			if pause := at[i].Sub(at[i-1]); pause < most/2 || pause > most {
				t.Errorf("pause %d is %v: want between %v and %v", i, pause, most/2, most)
			}
		}
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, tc := range map[string]struct {
		value    func() string
		from, to time.Duration
	}{
		"seconds":    {func() string { return "30" }, 30 * time.Second, 30 * time.Second},
		"date":       {func() string { return time.Now().Add(30 * time.Second).UTC().Format(http.TimeFormat) }, 29 * time.Second, 30 * time.Second},
		"bounded":    {func() string { return "99999999999" }, 10 * time.Minute, 10 * time.Minute},
		"past":       {func() string { return time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) }, 50 * time.Millisecond, 100 * time.Millisecond},
		"unreadable": {func() string { return "soon" }, 50 * time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := &scripted{do: func(n int) (*http.Response, error) {
					if n == 1 {
						return answer(http.StatusTooManyRequests, "Retry-After", tc.value())
					}
					return answer(http.StatusOK)
				}}
				tr := newTransport(t, delivery.Config{Base: net, ErrorHandler: new(handled)})
				post(t, tr, delivery.Traces, "http://sink", traceRequest("a"))
				time.Sleep(time.Hour)
				at := net.attempts()
				if len(at) != 2 {
					t.Fatalf("%d attempts: want 2", len(at))
				}
				if pause := at[1].Sub(at[0]); pause < tc.from || pause > tc.to {
					t.Errorf("second attempt after %v: want %v to %v", pause, tc.from, tc.to)
				}
			})
		})
	}
}

func TestFlushDoesNotOverrideRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) { return answer(503, "Retry-After", "60") }}
		tr := newTransport(t, delivery.Config{Base: net, ErrorHandler: new(handled)})
		post(t, tr, delivery.Traces, "http://sink", traceRequest("a"))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := tr.ForceFlush(ctx); err == nil {
			t.Error("no error although nothing was delivered")
		}
		if n := len(net.attempts()); n != 1 {
			t.Errorf("%d attempts while the server asked for 60 s of peace", n)
		}
	})
}

func TestOneRequestProbesAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := make(chan struct{})
		net := &scripted{}
		net.do = func(int) (*http.Response, error) {
			select {
			case <-up:
				return answer(http.StatusOK)
			default:
				return nil, errRefused
			}
		}
		tr := newTransport(t, delivery.Config{Base: net, Senders: 4, MinBackoff: time.Second, MaxBackoff: time.Second, ErrorHandler: new(handled)})
		postSpans(t, tr, "http://sink", 0, 100)
		synctest.Wait()
		first := len(net.attempts())
		time.Sleep(time.Minute)
		at := net.attempts()[first:]
		for i := 1; i < len(at); i++ {
			if at[i].Sub(at[i-1]) < 500*time.Millisecond {
				t.Fatalf("attempts %v apart while the breaker was open", at[i].Sub(at[i-1]))
			}
		}
		close(up)
		time.Sleep(3 * time.Second)
		if st := tr.Stats(delivery.Traces); st.Delivered != 100 {
			t.Errorf("%+v: want all 100 delivered within a pause of the server's return", st)
		}
	})
}

// A request that the server fails on every time must not keep the others
// waiting.
func TestOneBadRequestDoesNotBlockTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 20 { // the pauses are random
			tr := newTransport(t, delivery.Config{Base: badSpan{}, Senders: 1, ErrorHandler: new(handled)})
			post(t, tr, delivery.Traces, "http://sink", traceRequest("bad"))
			synctest.Wait()
			postSpans(t, tr, "http://sink", 0, 100)
			time.Sleep(100 * time.Millisecond) // the longest first pause
			synctest.Wait()
			if st := tr.Stats(delivery.Traces); st.Delivered == 0 {
				t.Errorf("%+v: want the first probe to be one that was not tried", st)
			}
			time.Sleep(time.Minute)
			if st := tr.Stats(delivery.Traces); st.Delivered != 100 || st.Queued != 1 {
				t.Errorf("%+v: want 100 delivered, 1 queued", st)
			}
		}
	})
}

type badSpan struct{}

func (badSpan) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if slices.Contains(spanNames(body), "bad") {
		return answer(http.StatusBadGateway)
	}
	return answer(http.StatusOK)
}

func TestSmallRequestsThatLingerGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) { return answer(http.StatusOK) }}
		tr := newTransport(t, delivery.Config{Base: net, Linger: time.Second, ErrorHandler: new(handled)})
		start := time.Now()
		postSpans(t, tr, "http://sink", 0, 100)
		time.Sleep(2 * time.Second)
		if at := net.attempts(); len(at) != 1 || at[0].Sub(start) != time.Second || net.spans[0] != 100 {
			t.Errorf("attempts at %v with %v spans: want one after 1 s with 100", at, net.spans)
		}
		postSpans(t, tr, "http://sink", 100, 10)
		before := time.Now()
		if err := tr.ForceFlush(context.Background()); err != nil || time.Since(before) != 0 {
			t.Errorf("ForceFlush lingered %v: %v", time.Since(before), err)
		}
	})
}

func TestTimeoutBoundsAFlushWithoutDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &scripted{do: func(int) (*http.Response, error) { return nil, errRefused }}
		tr := newTransport(t, delivery.Config{Base: net, ErrorHandler: new(handled)})
		post(t, tr, delivery.Traces, "http://sink", traceRequest("a"))
		start := time.Now()
		if err := tr.Shutdown(context.Background()); err == nil || time.Since(start) != 10*time.Second {
			t.Errorf("Shutdown returned %v after %v: want an error after 10 s", err, time.Since(start))
		}
	})
}
