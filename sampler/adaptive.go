package sampler

import (
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// AdaptiveConfig configures [NewAdaptive]. Only TracesPerSecond is required.
type AdaptiveConfig struct {
	// TracesPerSecond is how many traces to keep per second, on average. It
	// must be positive and finite. Fractions are fine: 0.1 is six per minute.
	TracesPerSecond float64

	// Replicas divides the target among the processes of a fleet: each keeps
	// TracesPerSecond / Replicas. Zero means 1.
	Replicas int
	// ReplicasFunc, if set, is called about once per second and its result is used
	// instead of Replicas. A result below 1 or a panic means that the number is not
	// known; then the last known number stays in force, at first Replicas. It must
	// return quickly.
	ReplicasFunc func() int

	// MaxOperations bounds how many operations are tracked; all others count as a single
	// one. Zero means 1,000; the maximum is 1,000,000. An operation takes about 100
	// bytes and its name.
	MaxOperations int
	// Key names the operation of a span. Nil means the span name.
	Key func(Parameters) string

	// MinProbability and MaxProbability bound the probability, from 0 to 1. A minimum
	// above 0 takes precedence over the target. A zero MaxProbability means 1.
	MinProbability, MaxProbability float64

	// Load holds signals of overload; the highest one counts. As it rises from 0.7 to 1,
	// the target shrinks to 1% of its value. It recovers as the load falls. Both take
	// seconds. The signals are read about once per second.
	Load []LoadSignal

	// MeterProvider is where metrics go. Nil means the global one.
	MeterProvider metric.MeterProvider
}

func (c *AdaptiveConfig) setDefaults() {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.MaxOperations == 0 {
		c.MaxOperations = 1000
	}
	if c.MaxProbability == 0 {
		c.MaxProbability = 1
	}
}

func (c *AdaptiveConfig) validate() error {
	switch {
	case !(c.TracesPerSecond > 0) || math.IsInf(c.TracesPerSecond, 1):
		return fmt.Errorf("sampler: AdaptiveConfig.TracesPerSecond = %v: want a positive number", c.TracesPerSecond)
	case c.Replicas < 1:
		return fmt.Errorf("sampler: AdaptiveConfig.Replicas = %d: want a positive number, or 0 for 1", c.Replicas)
	case c.MaxOperations < 1 || c.MaxOperations > 1_000_000:
		return fmt.Errorf("sampler: AdaptiveConfig.MaxOperations = %d: want 1 to 1000000, or 0 for 1000", c.MaxOperations)
	case !(c.MinProbability >= 0 && c.MinProbability <= 1):
		return fmt.Errorf("sampler: AdaptiveConfig.MinProbability = %v: want 0 to 1", c.MinProbability)
	case !(c.MaxProbability > 0 && c.MaxProbability <= 1):
		return fmt.Errorf("sampler: AdaptiveConfig.MaxProbability = %v: want 0 to 1, or 0 for 1", c.MaxProbability)
	case c.MinProbability > c.MaxProbability:
		return fmt.Errorf("sampler: AdaptiveConfig.MinProbability = %v: want at most MaxProbability, %v", c.MinProbability, c.MaxProbability)
	}
	return nil
}

// Adaptive keeps about a target number of traces per second, whatever the traffic, and
// shares them fairly among operations. Make one with [NewAdaptive]. It decides about
// every span it is asked about, so it is usually used below [ParentThreshold], which
// asks about root spans only.
//
// It is safe for concurrent use and runs no goroutine.
type Adaptive struct {
	cfg    AdaptiveConfig
	budget *budget
	ops    atomic.Pointer[operations]
	target target

	nextEviction time.Duration // guarded by target.mu

	registration metric.Registration
}

// NewAdaptive returns a policy that keeps about cfg.TracesPerSecond traces per
// second. The error names the field that has to change.
func NewAdaptive(cfg AdaptiveConfig) (*Adaptive, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &Adaptive{cfg: cfg}
	a.target.init(&a.cfg)
	a.budget = newBudget(a.target.load())
	a.ops.Store(newOperations(cfg.MaxOperations))
	if err := a.registerMetrics(); err != nil {
		return nil, err
	}
	return a, nil
}

// SamplingIntent implements [Composable].
func (a *Adaptive) SamplingIntent(p Parameters) Intent {
	now := a.budget.now()
	if a.target.due(now) {
		a.refresh(now)
	}
	name := p.Name
	if a.cfg.Key != nil {
		name = a.cfg.Key(p)
	}
	op := a.ops.Load().get(name, now)
	t := a.threshold(a.budget.probability(now, p.shard, op.age(now), op.interval.Load()))
	if t.Keeps(p.randomness) {
		op.keep(now)
		a.budget.keep(now)
	}
	return Intent{Threshold: t, Reliable: true}
}

// threshold applies the bounds and rounds. The rounding comes before the comparison
// with the randomness, so that the published threshold is the one that decided.
func (a *Adaptive) threshold(probability float64) Threshold {
	switch { // faster than min and max, which also check for NaN
	case probability < a.cfg.MinProbability:
		probability = a.cfg.MinProbability
	case probability > a.cfg.MaxProbability:
		probability = a.cfg.MaxProbability
	}
	return ThresholdFor(probability)
}

// refresh does what is due once per second.
func (a *Adaptive) refresh(now time.Duration) {
	if !a.target.mu.TryLock() {
		return
	}
	defer a.target.mu.Unlock()
	a.budget.setTarget(a.target.update(now), a.ops.Load().len())
	if ops := a.ops.Load(); ops.full() && now >= a.nextEviction {
		// Names that are no longer in use make room for new ones.
		a.nextEviction = now + time.Minute
		a.ops.Store(ops.without(func(op *operation) bool {
			return op.idle(now) > a.budget.forgotten()
		}))
	}
}

// Description implements [Composable].
func (a *Adaptive) Description() string {
	return "Adaptive{" + strconv.FormatFloat(a.target.load(), 'g', 4, 64) + "/s}"
}

// Shutdown removes the metrics of a from the meter provider. Decisions go on.
func (a *Adaptive) Shutdown() error { return a.registration.Unregister() }
