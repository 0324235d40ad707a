package sampler

import "time"

// SetBack makes the clock of a show an earlier time. The clock of a testing
// bubble only goes forward.
func SetBack(a *Adaptive, by time.Duration) {
	clock := a.budget.clock
	a.budget.clock = func() time.Duration { return clock() - by }
}
