package sampler

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
)

const (
	targetInterval = time.Second
	// Between these loads the target shrinks from its whole value to minShare of it. It
	// never becomes zero, which would bias every estimate.
	startOfLoad = 0.7
	fullLoad    = 1.0
	minShare    = 0.01
	// The weight of the last reading in the smoothed load.
	loadWeight = 0.3
)

// target is the number of traces to keep per second: the configured one,
// divided by the replicas and reduced under load.
type target struct {
	cfg  *AdaptiveConfig
	next atomic.Int64 // when to update

	perSecond atomicFloat
	smoothed  atomicFloat // the load

	mu       sync.Mutex // held during update
	replicas int        // the last number that was known
	failed   bool       // ReplicasFunc has panicked
}

func (t *target) init(cfg *AdaptiveConfig) {
	t.cfg = cfg
	t.replicas = cfg.Replicas
	t.update(0)
}

func (t *target) load() float64 { return t.perSecond.Load() }

func (t *target) due(now time.Duration) bool { return int64(now) >= t.next.Load() }

func (t *target) update(now time.Duration) float64 {
	t.next.Store(int64(now + targetInterval))
	if t.cfg.ReplicasFunc != nil {
		if n := t.askReplicas(); n >= 1 {
			t.replicas = n
		}
	}
	var highest float64
	for _, signal := range t.cfg.Load {
		highest = max(highest, min(signal(), 2*fullLoad))
	}
	smoothed := t.smoothed.Load()
	if highest >= 0 { // false if a signal is NaN, which counts as no reading
		smoothed += loadWeight * (highest - smoothed)
		t.smoothed.Store(smoothed)
	}
	share := min(1, max(minShare, (fullLoad-smoothed)/(fullLoad-startOfLoad)))
	perSecond := t.cfg.TracesPerSecond / float64(t.replicas) * share
	t.perSecond.Store(perSecond)
	return perSecond
}

// askReplicas returns 0 if ReplicasFunc panics, because it is called while the program
// starts a span, and that must not fail.
func (t *target) askReplicas() (n int) {
	defer func() {
		if cause := recover(); cause != nil && !t.failed {
			t.failed = true
			otel.Handle(fmt.Errorf("sampler: AdaptiveConfig.ReplicasFunc panicked, the last number of replicas, %d, is used: %v", t.replicas, cause))
		}
	}()
	return t.cfg.ReplicasFunc()
}
