package sampler_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

const targetPerSecond = 10

// A scenario is traffic for an Adaptive with a target of 10 traces per second,
// and the part of it that counts.
type scenario struct {
	name       string
	traffic    func() []source
	from, to   float64 // the part that counts, in seconds
	operations int     // how many there are
	// leastSpread, if set, is how much more than n²/K the variance must be if
	// operations are to be seen; maxSpread is how much more than that it may be
	// (zero means 1.35).
	leastSpread func() float64
	maxSpread   float64
	require     func(o *outcomes) []requirement
}

// An outcome is what one seed led to, in the part that counts.
type outcome struct {
	perSecond        []int // kept, from the very beginning
	worstSecond      int   // most kept in any one second, sliding, from the very beginning
	spans, kept, sum float64
	least            float64 // variance that is least possible for that many kept
	busy             float64 // seconds with traffic
	operations       []struct{ spans, kept, sum float64 }
}

var operationNames = func() []string {
	names := make([]string, 10_000)
	for i := range names {
		names[i] = "operation " + strconv.Itoa(i)
	}
	return names
}()

// A decider decides about a span of an operation at a time and returns the
// adjusted count, or 0 for a span that is dropped.
type decider func(p sdktrace.SamplingParameters) float64

func adaptiveDecider(t *testing.T, a *sampler.Adaptive) decider {
	t.Helper()
	s := sampler.New(sampler.ParentThreshold(a), sampler.WithMeterProvider(noop.NewMeterProvider()))
	return func(p sdktrace.SamplingParameters) float64 {
		result := s.ShouldSample(p)
		if result.Decision == sdktrace.Drop {
			return 0
		}
		return adjustedCount(t, result.Tracestate)
	}
}

// simulate drives real ShouldSample calls. It runs in a bubble of its own, in
// which sleeping takes no time. Spans come in steps of a millisecond.
func simulate(t *testing.T, sc *scenario, target float64, seed uint64) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, err := sampler.NewAdaptive(sampler.AdaptiveConfig{
			TracesPerSecond: target,
			MaxOperations:   1000,
			MeterProvider:   noop.NewMeterProvider(),
		})
		if err != nil {
			t.Fatal(err)
		}
		o = drive(sc, seed, adaptiveDecider(t, a))
	})
	return o
}

func drive(sc *scenario, seed uint64, decide decider) outcome {
	rnd := rand.New(rand.NewPCG(seed, 4))
	o := newOutcome(sc)
	sources := sc.traffic()
	next := make([]float64, len(sources))
	for i, s := range sources {
		next[i] = s.next(rnd, 0)
	}
	var clock time.Duration
	for {
		i := 0
		for j := range next {
			if next[j] < next[i] {
				i = j
			}
		}
		t := next[i]
		if t >= sc.to {
			o.closeMinute()
			return o.outcome
		}
		next[i] = sources[i].next(rnd, t)
		operation := sources[i].operation(rnd)
		if at := time.Duration(t*1000) * time.Millisecond; at > clock {
			time.Sleep(at - clock)
			clock = at
		}
		o.add(t, operation, decide(sdktrace.SamplingParameters{
			TraceID: traceID(rnd.Uint64()), Name: operationNames[operation],
		}))
	}
}

// A recorder collects an outcome span by span.
type recorder struct {
	outcome
	sc                      *scenario
	counts                  bool
	lastBusy                int
	lastSecond              []float64 // when something was kept
	minute                  float64
	minuteSpans, minuteKept float64
}

func newOutcome(sc *scenario) *recorder {
	r := &recorder{sc: sc, minute: sc.from, lastBusy: -1}
	r.perSecond = make([]int, int(math.Ceil(sc.to)))
	r.operations = make([]struct{ spans, kept, sum float64 }, sc.operations)
	return r
}

func (r *recorder) add(t float64, operation int, adjustedCount float64) {
	if adjustedCount > 0 {
		r.perSecond[int(t)]++
		r.lastSecond = append(r.lastSecond, t)
		for r.lastSecond[0] <= t-1 {
			r.lastSecond = r.lastSecond[1:]
		}
		r.worstSecond = max(r.worstSecond, len(r.lastSecond))
	}
	if t < r.sc.from {
		return
	}
	r.counts = true
	if t >= r.minute+60 {
		r.closeMinute()
		r.minute += 60
	}
	if busy := int(t * 100); busy != r.lastBusy {
		r.lastBusy = busy
		r.busy += 0.01
	}
	op := &r.operations[operation]
	r.spans++
	r.minuteSpans++
	op.spans++
	if adjustedCount > 0 {
		r.kept++
		r.minuteKept++
		op.kept++
		r.sum += adjustedCount
		op.sum += adjustedCount
	}
}

// closeMinute adds the least variance of the estimated number of spans that
// this many kept ones allow. As a rate per minute is what is asked for, it is
// computed per minute.
func (r *recorder) closeMinute() {
	if r.minuteKept > 0 {
		r.least += r.minuteSpans * r.minuteSpans / r.minuteKept
	}
	r.minuteSpans, r.minuteKept = 0, 0
}
