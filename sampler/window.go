package sampler

import (
	"math"
	"time"
)

// In any one second, at most limitOfTarget times the target should be kept.
const limitOfTarget = 2

const (
	// This is the number of slots in a second. The window covers one slot more, so that
	// it forgets nothing that is less than a second old.
	slotsPerSecond = 64
	slotLength     = time.Second / slotsPerSecond

	// Probabilities shrink by e^-(steepness×x²), where x rises from 0 at this share of
	// the limit to 1 at the limit. Beyond the limit the exponent follows the tangent
	// down to minExponent, because a probability of zero would bias estimates.
	gateStart    = 0.7
	maxSteepness = 6
	minExponent  = -16
)

// A window remembers what was kept in the last second. Its unit is what the target
// allows in a second, so that its values mean the same after the target has changed.
type window struct {
	slots  [slotsPerSecond + 1]float64
	newest int64 // the number of the newest slot
	sum    float64
}

// add counts something that was kept at most a slot before now.
func (w *window) add(kept float64) {
	w.slots[w.newest%int64(len(w.slots))] += kept
	w.sum += kept
}

// advance forgets what is older than a second.
func (w *window) advance(now time.Duration) {
	slot := int64(now / slotLength)
	if slot <= w.newest {
		return
	}
	for n := min(slot-w.newest, int64(len(w.slots))); n > 0; n-- {
		w.slots[(slot-n+1)%int64(len(w.slots))] = 0
	}
	w.newest = slot
	w.sum = 0 // summed anew, so that rounding errors do not add up
	for _, kept := range w.slots {
		w.sum += kept
	}
}

// gate returns the factor that makes it improbable to exceed the limit. It depends only
// on what was kept before. It is never zero, because a sum of adjusted counts is right
// on average only if every span can be kept. It is 1 most of the time, because the
// variance of that sum grows with 1/gate.
func (w *window) gate(target float64) float64 {
	const start = gateStart * limitOfTarget
	x := (w.sum - start) / (limitOfTarget - start)
	if x <= 0 {
		return 1
	}
	// Small targets reach their limit all the time by chance. For them a steep gate
	// would cost more precision than the limit is worth.
	steepness := min(target*(0.15+0.065*target), maxSteepness)
	square := x * x
	if x > 1 {
		square = 2*x - 1
	}
	return math.Exp(max(-steepness*square, minExponent))
}
