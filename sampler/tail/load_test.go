package tail_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

const spansPerRequest = 10

// wholeTraces counts traces of which all spans were handed on.
type wholeTraces struct {
	mu      sync.Mutex
	partial map[trace.TraceID]int
	whole   int
	reasons map[string]int
}

func (*wholeTraces) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (*wholeTraces) ForceFlush(context.Context) error                { return nil }
func (*wholeTraces) Shutdown(context.Context) error                  { return nil }

func (w *wholeTraces) OnEnd(s sdktrace.ReadOnlySpan) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := s.SpanContext().TraceID()
	w.partial[id]++
	if w.partial[id] == spansPerRequest {
		delete(w.partial, id)
		w.whole++
	}
	if reason := attr(s, tail.ReasonKey); reason != "" {
		w.reasons[reason]++
	}
}

// request makes the spans of one request in about 100 ms, one of which may
// outlive the root.
func request(tracer trace.Tracer, rnd *rand.Rand, fails bool) {
	ctx, root := tracer.Start(context.Background(), "root")
	failing := -1
	if fails {
		failing = rnd.IntN(spansPerRequest - 2)
	}
	for i := range spansPerRequest - 2 {
		_, child := tracer.Start(ctx, "child")
		time.Sleep(time.Duration(rnd.IntN(25)) * time.Millisecond)
		if i == failing {
			child.SetStatus(codes.Error, "")
		}
		child.End()
	}
	_, async := tracer.Start(ctx, "async")
	if rnd.IntN(10) > 0 {
		async.End()
		root.End()
	} else {
		root.End()
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		async.End()
	}
}

// TestLoad puts two minutes of requests, 1% of which fail, through a processor.
// CLEW_TAIL_LOAD_SPANS=10000000 is the size it is meant for.
func TestLoad(t *testing.T) {
	spans := envInt(t, "CLEW_TAIL_LOAD_SPANS", 200_000)
	synctest.Test(t, func(t *testing.T) {
		next := &wholeTraces{partial: map[trace.TraceID]int{}, reasons: map[string]int{}}
		cfg := tail.Config{
			Policies: []tail.Policy{failedPolicy, {Probability: 0.01}},
			MaxSpans: 100_000, MaxBytes: 64 << 20, MaxTraces: 10_000,
		}
		p, err := tail.NewProcessor(next, cfg)
		if err != nil {
			t.Fatal(err)
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(dropAll), sdktrace.WithSpanProcessor(p))
		tracer := provider.Tracer("")

		const length, perRequest = 2 * time.Minute, 100 * time.Millisecond
		requests := spans / spansPerRequest
		clients := max(1, requests/int(length/perRequest))
		failed := make([]int, clients)
		var wg sync.WaitGroup
		for c := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(c), 5))
				for range requests / clients {
					fails := rnd.IntN(100) == 0
					if fails {
						failed[c]++
					}
					request(tracer, rnd, fails)
				}
			})
		}
		done := make(chan struct{})
		var peak tail.Stats
		var heap uint64
		go func() {
			defer close(done)
			for second := 0; ; second++ {
				time.Sleep(time.Second)
				st := p.Stats()
				peak.UndecidedTraces = max(peak.UndecidedTraces, st.UndecidedTraces)
				peak.UndecidedSpans = max(peak.UndecidedSpans, st.UndecidedSpans)
				peak.UndecidedBytes = max(peak.UndecidedBytes, st.UndecidedBytes)
				var mem runtime.MemStats
				runtime.ReadMemStats(&mem)
				heap = max(heap, mem.HeapInuse)
				if st.KeptSpans+st.DroppedSpans >= uint64(requests/clients*clients*spansPerRequest) || second > 600 {
					return
				}
			}
		}()
		begin := time.Now()
		wg.Wait()
		took := time.Since(begin)
		<-done
		if err := provider.Shutdown(context.Background()); err != nil {
			t.Fatal(err)
		}

		st := p.Stats()
		var errors int
		for _, n := range failed {
			errors += n
		}
		t.Logf("%d spans in %v of simulated time by %d clients: kept %v, dropped %d traces, %d late spans; at most %d traces, %d spans, %.1f MiB undecided; heap of the whole test at most %.1f MiB",
			st.KeptSpans+st.DroppedSpans, took.Round(time.Second), clients, st.Kept, st.Dropped, st.LateSpans,
			peak.UndecidedTraces, peak.UndecidedSpans, float64(peak.UndecidedBytes)/(1<<20), float64(heap)/(1<<20))
		if next.reasons["error"] != errors || st.Kept["error"] != uint64(errors) {
			t.Errorf("kept %d traces for an error, counted %d, want %d", next.reasons["error"], st.Kept["error"], errors)
		}
		if len(next.partial) != 0 {
			t.Errorf("%d traces were kept in part", len(next.partial))
		}
		if peak.UndecidedBytes > cfg.MaxBytes || peak.UndecidedSpans > cfg.MaxSpans || peak.UndecidedTraces > cfg.MaxTraces {
			t.Errorf("over a bound: %+v", peak)
		}
		for bound, n := range st.Early {
			if n > 0 {
				t.Errorf("%d traces decided early by %s", n, bound)
			}
		}
	})
}

// TestConcurrentUse has traces whose spans end in many goroutines, with bounds
// that are exceeded all the time, while others flush and look.
func TestConcurrentUse(t *testing.T) {
	handledErrors(t)
	next := &wholeTraces{partial: map[trace.TraceID]int{}, reasons: map[string]int{}}
	p, err := tail.NewProcessor(next, tail.Config{
		MaxTraces: 130, MaxSpans: 400, MaxSpansPerTrace: 50, MaxDecisions: 1 << 20,
		Timeout:  8 * time.Millisecond,
		Policies: []tail.Policy{{Probability: 0.5}},
	})
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(dropAll), sdktrace.WithSpanProcessor(p))
	tracer := provider.Tracer("")
	const workers, rounds = 8, 400
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range rounds {
				ctx, root := tracer.Start(context.Background(), fmt.Sprint(w, i))
				var children sync.WaitGroup
				for range spansPerRequest - 1 {
					children.Go(func() {
						_, child := tracer.Start(ctx, "child")
						child.End()
					})
				}
				root.End()
				children.Wait()
				if i%100 == 0 {
					if err := p.ForceFlush(context.Background()); err != nil {
						t.Error(err)
					}
				}
				_ = p.Stats()
			}
		})
	}
	wg.Wait()
	if err := provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Whether decided early or late, by one goroutine or another: the
	// randomness decides, the same for all spans of a trace.
	st := p.Stats()
	if total := st.KeptSpans + st.DroppedSpans; total != workers*rounds*spansPerRequest {
		t.Errorf("counted %d spans, want %d", total, workers*rounds*spansPerRequest)
	}
	if len(next.partial) != 0 || uint64(next.whole*spansPerRequest) != st.KeptSpans {
		t.Errorf("%d traces were kept in part, %d whole, %d spans kept", len(next.partial), next.whole, st.KeptSpans)
	}
	if st.UndecidedTraces+st.UndecidedSpans+st.UndecidedBytes != 0 {
		t.Errorf("left behind %+v", st)
	}
}

// TestFailedRootIsKeptWheneverItStarts starts a local root around the time at
// which a large fragment of the same trace is decided and dropped. Every other
// one does not fail.
func TestFailedRootIsKeptWheneverItStarts(t *testing.T) {
	slow := sampler.Match{Name: strings.Repeat("*a", 20) + "b"} // takes its time to compare
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Span: tail.Condition{Match: slow}}, failedPolicy}})
	name := strings.Repeat("a", 200)
	const rounds = 300
	for round := range 2 * rounds {
		ctx, root := s.Start(context.Background(), "root")
		for range 100 {
			_, child := s.Start(ctx, name)
			child.End()
		}
		var wg sync.WaitGroup
		wg.Go(func() { root.End() })
		wg.Go(func() {
			for range 20 {
				runtime.Gosched()
			}
			_, nested := s.Start(throughHTTP(ctx), "nested")
			if round%2 == 0 {
				nested.SetStatus(codes.Error, "")
			}
			nested.End()
		})
		wg.Wait()
	}
	nested := 0
	for _, name := range s.names() {
		if name == "nested" {
			nested++
		}
	}
	if nested != rounds {
		t.Errorf("kept %d of %d failed local roots", nested, rounds)
	}
	st := s.Stats()
	if total := st.KeptSpans + st.DroppedSpans; total != 2*rounds*102 || st.UndecidedTraces+st.UndecidedSpans+st.UndecidedBytes != 0 {
		t.Errorf("counted %d spans, want %d, and left behind %+v", total, 2*rounds*102, st)
	}
}
