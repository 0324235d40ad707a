package sampler_test

import (
	"math"
	"testing"
)

// leastSpread returns the least variance that the estimated number of spans
// can have, as a multiple of n²/K, when K of the n spans per minute are kept
// and on average at most a given number of operations are not among them. The
// operations have these rates, in spans per second, and are known in advance.
//
// As spans come by chance, a law can only choose a probability p(a) for each
// operation by the time a since its last kept span. The variance is the sum of
// 1/p-1 over all spans. So each p minimises λ/p + price·λ·p plus a penalty for
// every second in which a exceeds a minute, for some price of a kept span and
// some penalty, which the two constraints determine.
func leastSpread(rates []float64, kept, unseen float64) float64 {
	var spread float64
	bisect(1e-3, 1e6, func(penalty float64) bool {
		var u float64
		bisect(1e3, 1e8, func(price float64) bool {
			var k, n, variance float64
			u = 0
			for i := 0; i < len(rates); {
				alike := min(1+i/10, len(rates)-i) // neighbours are
				rate, weight := rates[i+alike/2], float64(alike)
				op := bestLaw(rate, price, penalty)
				k += weight * op.kept
				u += weight * op.unseen
				n += weight * rate * minute
				variance += weight * op.variance
				i += alike
			}
			spread = variance * k / (n * n)
			return k > kept
		})
		return u > unseen
	})
	return spread
}

// bisect returns where above changes from true to false, on a logarithmic
// scale.
func bisect(low, high float64, above func(float64) bool) float64 {
	for range 16 {
		if middle := math.Sqrt(low * high); above(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

const minute = 60.0

// A lawFigures says what becomes of one operation, per minute.
type lawFigures struct{ kept, unseen, variance float64 }

// bestLaw solves the Hamilton-Jacobi-Bellman equation of the problem: with
// x = 1/p², x(0) = price and x' = 2λ√x - cost up to a minute, or λ(1+x) - cost
// where x < 1, which means p = 1. The cost per second is the one for which x
// stays the same from there on.
func bestLaw(rate, price, penalty float64) lawFigures {
	const steps, step = 100, minute / 100
	var x [steps + 1]float64 // the last one holds beyond a minute
	bisect(rate/10, 2*rate*math.Sqrt(price)+penalty+1, func(cost float64) bool {
		if own := cost - penalty; own >= 2*rate {
			x[steps] = own * own / (4 * rate * rate)
		} else {
			x[steps] = own/rate - 1
		}
		for i := steps - 1; i >= 0; i-- {
			halfway := x[i+1] - slope(x[i+1], rate, cost)*step/2
			x[i] = x[i+1] - slope(halfway, rate, cost)*step
		}
		return x[0] < price
	})
	var time, inverse float64 // mean time between kept spans, sum of 1/p over it
	notKept := 1.0
	for i := range steps {
		p := 1 / math.Sqrt(max(1, x[i]))
		next := notKept * math.Exp(-rate*p*step)
		time += (notKept - next) / (rate * p)
		inverse += (notKept - next) / (rate * p * p)
		notKept = next
	}
	p := 1 / math.Sqrt(max(1, x[steps]))
	late := notKept / (rate * p)
	time += late
	inverse += late / p
	return lawFigures{minute / time, late / time, rate * minute * (inverse/time - 1)}
}

func slope(x, rate, cost float64) float64 {
	if x < 1 {
		return rate*(1+x) - cost
	}
	return 2*rate*math.Sqrt(x) - cost
}

func TestLeastSpread(t *testing.T) {
	// Without regard to operations the best is the same probability for all.
	if got := leastSpread(zipfRates(50, 1.1, 1000), 600, 50); math.Abs(got-0.99) > 0.01 {
		t.Errorf("none need be seen: got %.3f, want 1 - K/n = 0.99", got)
	}
	// To keep one span per minute of nearly all takes most of 600.
	got := leastSpread(zipfRates(500, 1.1, 1000), 600, 10)
	t.Logf("490 of 500 seen: %.3f", got)
	if got < 3.5 || got > 4 {
		t.Errorf("490 of 500 seen: got %.3f", got)
	}
}

func zipfRates(n int, exponent, perSecond float64) []float64 {
	rates := make([]float64, n)
	sum := 0.0
	for i := range rates {
		rates[i] = math.Pow(float64(i+1), -exponent)
		sum += rates[i]
	}
	for i := range rates {
		rates[i] *= perSecond / sum
	}
	return rates
}

// leastSpreadWithinLimit returns a lower bound for the variance that the
// estimated number of spans has at a target of one per second, as a multiple of
// n²/K, when so many spans per second are kept although two were kept in the
// second before.
//
// A law can only choose the rate r at which it keeps spans by what it has kept
// so far: by the time a since the last one and b since the one before. The
// variance is the mean of 1/r over time. By weak duality no law has less than
// the least mean of 1/r + penalty·r[b < 1], minus penalty·exceeding, whatever
// the penalty. This bound holds even for laws that keep more than the target.
func leastSpreadWithinLimit(exceeding float64) float64 {
	best := 0.0
	for penalty := 1.0; penalty < 1e8; penalty *= 2 {
		best = max(best, leastCost(penalty)-penalty*exceeding)
	}
	return best
}

// leastCost solves the Hamilton-Jacobi-Bellman equation of that mean: the value
// W of having kept what was kept changes by cost - 2√D per second, where D is
// what W rises by when a span is kept, plus the penalty if it is due. W is 0
// when nothing was kept for a second. The solution is found by iteration.
func leastCost(penalty float64) (cost float64) {
	const steps, step = 40, 1.0 / 40
	// after[i] is W when a span was just kept, i steps after another one.
	var after [steps + 1]float64
	for range 300 {
		cost = 2 * math.Sqrt(after[steps])
		// one[i] is W when a span was kept i steps ago, alone.
		var one, next [steps + 1]float64
		for i := steps - 1; i >= 0; i-- {
			one[i] = one[i+1] - step*(cost-2*math.Sqrt(max(0, after[i]-one[i+1])))
		}
		next[steps] = one[0]
		for gap := range steps {
			two := one[steps-gap] // when the older of two is forgotten
			for i := steps - gap - 1; i >= 0; i-- {
				two -= step * (cost - 2*math.Sqrt(max(0, penalty+after[i]-two)))
			}
			next[gap] = two
		}
		for i := range after {
			after[i] += (next[i] - after[i]) / 2
		}
	}
	return cost
}

// At a target of one the limit of two in any one second cannot be kept together
// with the limit of the variance.
func TestLimitIsOutOfReachAtATargetOfOne(t *testing.T) {
	for _, c := range []struct {
		exceeding float64 // times per second
		above     float64
	}{
		{0.05, 1.5}, // one in 20 seconds
		{1.0 / (2000 * 120), 10},
	} {
		got := leastSpreadWithinLimit(c.exceeding)
		t.Logf("exceeded %.2g times per second: the variance is at least %.2f times n²/K", c.exceeding, got)
		if got < c.above {
			t.Errorf("exceeded %.2g times per second: got %.2f, want more than %v", c.exceeding, got, c.above)
		}
	}
}
