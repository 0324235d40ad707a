package sampler_test

import (
	"math"
	"math/rand/v2"
	"sort"
)

// A source is one stream of spans in a simulation.
type source struct {
	// next returns the time of the next span after the one at t, in seconds.
	next func(rnd *rand.Rand, t float64) float64
	// operation returns the operation of a span.
	operation func(rnd *rand.Rand) int
}

func constant(perSecond float64) func(*rand.Rand, float64) float64 {
	return func(rnd *rand.Rand, t float64) float64 { return t + rnd.ExpFloat64()/perSecond }
}

// step changes the rate at a time; a rate of zero is silence.
func step(before, at, after float64) func(*rand.Rand, float64) float64 {
	return func(rnd *rand.Rand, t float64) float64 {
		if t < at {
			if next := t + rnd.ExpFloat64()/before; next < at {
				return next
			}
			t = at
		}
		return t + rnd.ExpFloat64()/after
	}
}

// idle is traffic that pauses.
func idle(from, to, before, after float64) func(*rand.Rand, float64) float64 {
	return func(rnd *rand.Rand, t float64) float64 {
		if t < from {
			if next := t + rnd.ExpFloat64()/before; next < from {
				return next
			}
			t = to
		}
		return t + rnd.ExpFloat64()/after
	}
}

// wave is traffic that swells and ebbs between 0.2 and 1.8 times its mean.
func wave(mean, period float64) func(*rand.Rand, float64) float64 {
	return func(rnd *rand.Rand, t float64) float64 {
		for {
			t += rnd.ExpFloat64() / (1.8 * mean)
			if rnd.Float64()*1.8 < 1+0.8*math.Sin(2*math.Pi*t/period) {
				return t
			}
		}
	}
}

func every(seconds float64) func(*rand.Rand, float64) float64 {
	return func(_ *rand.Rand, t float64) float64 { return t + seconds }
}

func onOff(on, off, perSecond float64) func(*rand.Rand, float64) float64 {
	return func(rnd *rand.Rand, t float64) float64 {
		t += rnd.ExpFloat64() / perSecond
		if into := math.Mod(t, on+off); into > on {
			t += on + off - into + rnd.ExpFloat64()/perSecond
		}
		return t
	}
}

// paretoOnOff is traffic with heavy-tailed bursts and pauses, at most 30 s.
func paretoOnOff(perSecond float64) func(*rand.Rand, float64) float64 {
	end, on := 0.0, false
	return func(rnd *rand.Rand, t float64) float64 {
		for {
			if on {
				if next := t + rnd.ExpFloat64()/perSecond; next < end {
					return next
				}
			}
			t = end
			end += min(30, 0.5*math.Pow(1-rnd.Float64(), -1/1.5))
			on = !on
		}
	}
}

// batches are groups of spans at one instant.
func batches(perSecond float64, size int) func(*rand.Rand, float64) float64 {
	left := 0
	return func(rnd *rand.Rand, t float64) float64 {
		if left > 0 {
			left--
			return t
		}
		left = size - 1
		return t + rnd.ExpFloat64()/perSecond
	}
}

func only(operation int) func(*rand.Rand) int { return func(*rand.Rand) int { return operation } }

func uniform(n int) func(*rand.Rand) int { return func(rnd *rand.Rand) int { return rnd.IntN(n) } }

// zipf chooses among n operations, the k-th with a frequency of 1/k^exponent.
func zipf(n int, exponent float64) func(*rand.Rand) int {
	cumulated := make([]float64, n)
	sum := 0.0
	for i := range cumulated {
		sum += math.Pow(float64(i+1), -exponent)
		cumulated[i] = sum
	}
	return func(rnd *rand.Rand) int { return sort.SearchFloat64s(cumulated, rnd.Float64()*sum) }
}
