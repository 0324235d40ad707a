package propagator

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

func (c *cache) entries() (n int) {
	for i := range c.slots {
		if c.slots[i].Load() != nil {
			n++
		}
	}
	return n
}

func TestCacheRemembersTheSecondTime(t *testing.T) {
	c := newCache()
	for i, want := range []int{0, 1, 1} {
		if _, r := c.tracestate("foo=1"); c.entries() != want || (r != nil) != (want == 1) {
			t.Errorf("after %d times %d entries, want %d", i+1, c.entries(), want)
		}
	}
}

func TestCacheBounds(t *testing.T) {
	c := newCache()
	for i := range 10 * cacheSlots {
		for range 2 {
			c.tracestate(fmt.Sprintf("foo=%d", i))
		}
	}
	if n := c.entries(); n > cacheSlots || n < cacheSlots/2 {
		t.Errorf("%d entries", n)
	}
	long := newCache()
	for range 3 {
		long.tracestate(strings.Repeat("a", 200) + "=" + strings.Repeat("b", 200) + "," + strings.Repeat("c", 200) + "=1")
	}
	if n := long.entries(); n != 0 {
		t.Errorf("%d entries of more than %d bytes", n, maxCachedField)
	}
}

// A flood of values that never come back does not displace one that does.
func TestCacheUnderFlood(t *testing.T) {
	c := newCache()
	c.tracestate("ot=th:fd70a4")
	c.tracestate("ot=th:fd70a4")
	for i := range 100_000 {
		c.tracestate(fmt.Sprintf("foo=%d", i))
	}
	if _, r := c.tracestate("ot=th:fd70a4"); r == nil {
		t.Error("the value that came back is gone")
	}
	// What is seen once is kept as a hash, so a few get an entry by chance.
	if n := c.entries(); n > 3 {
		t.Errorf("%d entries", n)
	}
}

func TestCacheHoldsNoRequestMemory(t *testing.T) {
	c := newCache()
	collected := make(chan struct{})
	func() {
		request := new([1 << 20]byte)
		copy(request[:], "foo=1,1a=x")
		runtime.AddCleanup(request, func(ch chan struct{}) { close(ch) }, collected)
		field := unsafe.String(&request[0], 10)
		for range 3 {
			c.tracestate(field)
		}
	}()
	for range 100 {
		runtime.GC()
		select {
		case <-collected:
			if c.entries() != 1 {
				t.Errorf("%d entries", c.entries())
			}
			return
		default:
			runtime.Gosched()
		}
	}
	t.Error("the request is held by the cache")
}

func TestCacheConcurrently(t *testing.T) {
	c := newCache()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 20_000 {
				want := fmt.Sprintf("foo=%d", (i*7+g)%600)
				held, _ := c.tracestate(want)
				if got := held.String(); got != want {
					t.Errorf("%q was read as %q", want, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

// If package trace has no key that can be learned, Extract takes an allocation more
// and does the same.
func TestWithoutSpanKey(t *testing.T) {
	before := spanKey
	spanKey = nil
	defer func() { spanKey = before }()
	p, sent := New(), propagation.MapCarrier{}
	received := propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "1a=x,foo=1",
	}
	ctx := p.Extract(t.Context(), received)
	p.Inject(ctx, sent)
	if !maps.Equal(sent, received) {
		t.Errorf("received %v, sent %v", received, sent)
	}
	sc := trace.SpanContextFromContext(ctx)
	p.Inject(trace.ContextWithSpanContext(ctx, sc.WithTraceState(sc.TraceState().Delete("foo"))), sent)
	if sent["tracestate"] != "1a=x" {
		t.Errorf("after a change sent %v", sent)
	}
}

// BenchmarkFlood reports what the cache costs when every tracestate is new.
// overhead-% is how much longer Extract takes than without a cache, the median of
// interleaved rounds.
func BenchmarkFlood(b *testing.B) {
	for _, members := range []int{1, 2, 5, 32} {
		b.Run(fmt.Sprintf("%d members", members), func(b *testing.B) {
			carriers := make([]propagation.HeaderCarrier, 1<<14)
			for i := range carriers {
				state := []string{fmt.Sprintf("n=%08x", i)}
				for m := 1; m < members; m++ {
					state = append(state, fmt.Sprintf("key%02d=value%02d", m, m))
				}
				carriers[i] = propagation.HeaderCarrier{
					"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {strings.Join(state, ",")},
				}
			}
			p, next := New().(*traceContext), 0
			cost := func(f func(propagation.HeaderCarrier)) float64 {
				const n = 2000
				start := cpuTime()
				for range n {
					next++
					f(carriers[next%len(carriers)])
				}
				return float64(cpuTime()-start) / n
			}
			var ratios, ns []float64
			for b.Loop() {
				without := cost(func(h propagation.HeaderCarrier) { parseUncached(h["Tracestate"][0]) })
				with := cost(func(h propagation.HeaderCarrier) { p.seen.tracestate(h["Tracestate"][0]) })
				all := cost(func(h propagation.HeaderCarrier) { p.Extract(context.Background(), h) })
				ratios, ns = append(ratios, all/(all-with+without)), append(ns, all)
			}
			sort.Float64s(ratios)
			sort.Float64s(ns)
			b.ReportMetric(0, "ns/op") // one op is many extractions
			b.ReportMetric((ratios[len(ratios)/2]-1)*100, "overhead-%")
			b.ReportMetric(ns[len(ns)/2], "ns/extract")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
