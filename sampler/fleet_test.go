package sampler_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clewtrace/clew/sampler"
)

// The processes of a fleet have unequal traffic, and one of them goes away.
func TestFleetKeepsItsTarget(t *testing.T) {
	const target = 30
	synctest.Test(t, func(t *testing.T) {
		var replicas, kept atomic.Int64
		var processes sync.WaitGroup
		defer processes.Wait() // after the last stop
		replicas.Store(3)
		// start runs a process with so many spans per second until stopped.
		start := func(perSecond int) (stop context.CancelFunc) {
			ctx, stop := context.WithCancel(t.Context())
			s := ours(adaptive(t, sampler.AdaptiveConfig{
				TracesPerSecond: target,
				ReplicasFunc:    func() int { return int(replicas.Load()) },
			}))
			rnd := rand.New(rand.NewPCG(uint64(perSecond), 0))
			processes.Go(func() {
				for ctx.Err() == nil {
					kept.Add(int64(keepRate(s, rnd, perSecond, 1)))
				}
			})
			return stop
		}
		expect := func(when string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			before := kept.Load()
			time.Sleep(time.Minute)
			expectRate(t, when, float64(kept.Load()-before)/60, target)
		}
		var stop context.CancelFunc
		for _, perSecond := range []int{200, 400, 600} {
			stop = start(perSecond)
			defer stop()
		}
		expect("three processes")
		stop()
		replicas.Store(2)
		expect("two, after one was stopped")
	})
}
