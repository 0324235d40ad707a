package sampler

import (
	"math"
	"strconv"
)

// RateLimit keeps about perSecond traces per second. Its probability follows the
// traffic and is published, so adjusted counts stay right. It is [Adaptive] without a
// distinction of operations. A rate that is not positive is [AlwaysOff], an infinite
// one is [AlwaysOn].
//
// All spans that one RateLimit is asked about share its budget, even if it is used in
// several rules.
func RateLimit(perSecond float64) Composable {
	switch {
	case !(perSecond > 0):
		return AlwaysOff()
	case math.IsInf(perSecond, 1):
		return AlwaysOn()
	}
	return &rateLimit{newBudget(perSecond)}
}

type rateLimit struct{ budget *budget }

func (s *rateLimit) SamplingIntent(p Parameters) Intent {
	now := s.budget.now()
	t := ThresholdFor(s.budget.probability(now, p.shard, 0, 0))
	if t.Keeps(p.randomness) {
		s.budget.keep(now)
	}
	return Intent{Threshold: t, Reliable: true}
}

func (s *rateLimit) Description() string {
	return "RateLimit{" + strconv.FormatFloat(s.budget.target, 'g', -1, 64) + "/s}"
}
