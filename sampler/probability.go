package sampler

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel"
)

// flagRandom is the random-trace-id flag of W3C Trace Context Level 2.
const flagRandom = 0x02

// Probability keeps the given share of traces, from 0 to 1, consistently: a trace that
// is kept at one ratio is kept at every larger one, in every process. It ignores what
// the parent decided; wrap it in [ParentThreshold] to follow that. It is the
// ComposableProbability of the OpenTelemetry Specification.
//
// The ratio is rounded as [ThresholdFor] says. A ratio of 0 is [AlwaysOff].
// Ratios outside of 0 to 1 are reported to the OpenTelemetry error handler and
// moved to the nearer end, NaN to 0.
//
// When it first decides on a child span whose trace id is not flagged as random, it
// reports that once to the error handler. Such a trace may come from a service that
// samples by other digits of the trace id.
func Probability(ratio float64) Composable {
	if !(ratio >= 0 && ratio <= 1) {
		otel.Handle(fmt.Errorf("sampler: probability %v: ratio must be between 0 and 1", ratio))
	}
	t := ThresholdFor(ratio)
	if t.IsNone() {
		return AlwaysOff()
	}
	return &probability{
		intent:      Intent{Threshold: t, Reliable: true},
		description: "Probability{" + strconv.FormatFloat(min(ratio, 1), 'g', -1, 64) + "}",
	}
}

type probability struct {
	intent      Intent
	description string
	warn        sync.Once
}

func (s *probability) SamplingIntent(p Parameters) Intent {
	if p.parent.kind != NoParent && !p.parent.explicit && p.parent.flags&flagRandom == 0 {
		s.warn.Do(func() { otel.Handle(errPresumedRandom) })
	}
	return s.intent
}

func (s *probability) Description() string { return s.description }

var errPresumedRandom = errors.New("sampler: Probability decided on a child span by a trace id without the random flag: " +
	"traces may be incomplete where older SDKs take part; use ParentThreshold(Probability) or update them")
