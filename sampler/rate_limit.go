package sampler

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// RateLimit keeps about perSecond traces per second, by a threshold that
// follows the traffic of the last seconds. A rate that is not positive is
// [AlwaysOff].
func RateLimit(perSecond float64) Composable {
	if !(perSecond > 0) {
		return AlwaysOff()
	}
	return &rateLimit{perSecond: perSecond, last: time.Now()}
}

type rateLimit struct {
	perSecond float64

	mu   sync.Mutex
	last time.Time
	seen float64
}

func (s *rateLimit) SamplingIntent(Parameters) Intent {
	const window = 5 * time.Second
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	rate := s.seen / window.Seconds()
	s.seen *= math.Exp(-float64(now.Sub(s.last)) / float64(window))
	s.seen++
	s.last = now
	return Intent{Threshold: ThresholdFor(min(1, s.perSecond/max(rate, s.perSecond))), Reliable: true}
}

func (s *rateLimit) Description() string {
	return "RateLimit{" + strconv.FormatFloat(s.perSecond, 'g', -1, 64) + "/s}"
}
