package delivery_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

var soakFor = flag.Duration("soak", 3*time.Second, "duration of TestSoak")

// TestSoak exports spans while the sink fails at random, with a queue that is
// at times too small, and then accounts for every one of them. The whole of it
// is `go test ./delivery -run Soak -timeout 20m -soak 15m`.
func TestSoak(t *testing.T) {
	var fault atomic.Int32
	behave := func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		switch fault.Load() {
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		case 3: // black hole
			<-r.Context().Done()
		case 4:
			panic(http.ErrAbortHandler)
		case 5:
			w.WriteHeader(http.StatusBadRequest) // counted as dropped
		default:
			return false
		}
		return true
	}
	s := newStoppedSink(t)
	s.fault = behave
	s.Start()
	sinks := []*sink{s}
	addr, endpoint := s.Listener.Addr().String(), s.URL

	cfg := quick(new(handled))
	cfg.Timeout, cfg.QueueSize, cfg.SpoolDir = 200*time.Millisecond, 256<<10, t.TempDir()
	tr := newTransport(t, cfg)
	var ended int64
	next := time.Now()
	for end := next.Add(*soakFor); time.Now().Before(end); {
		if time.Now().After(next) {
			next = time.Now().Add(rand.N(500 * time.Millisecond))
			if rand.N(6) == 0 { // a restart
				s.CloseClientConnections()
				s.Close()
				s = restartWith(t, addr, behave)
				sinks = append(sinks, s)
			}
			fault.Store(rand.N(int32(8)))
		}
		n := 1 + rand.N(50)
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("span ", ended+int64(i))
		}
		post(t, tr, delivery.Traces, endpoint, traceRequest(names...))
		ended += int64(n)
		<-time.After(time.Millisecond)
	}
	fault.Store(0)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	flush(t, tr)
	if err := tr.Shutdown(ctx); err != nil && !errors.As(err, new(*delivery.UndeliveredError)) {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, s := range sinks {
		for name := range s.spans {
			got[name] = true
		}
	}
	st := tr.Stats(delivery.Traces)
	t.Logf("%d spans ended, %d arrived, %+v", ended, len(got), st)
	if st.Queued != 0 || st.Delivered+st.DroppedTotal() != ended {
		t.Errorf("%d ended: want them delivered or counted as dropped", ended)
	}
	// A request whose answer was lost may have arrived and then been dropped.
	if int64(len(got)) < st.Delivered || int64(len(got)) > ended {
		t.Errorf("%d arrived, %d reported as delivered", len(got), st.Delivered)
	}
}
