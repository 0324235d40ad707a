package sampler

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A LoadSignal returns how loaded something is: 0 is idle, and 1 is the limit. Values
// may exceed 1. It is called about once per second by a goroutine that starts a span,
// so it must return quickly. It need not be safe for concurrent use.
type LoadSignal func() float64

// HeapLoad returns the memory of the Go runtime divided by the limit that GOMEMLIMIT or
// [debug.SetMemoryLimit] sets, or 0 without a limit.
func HeapLoad() LoadSignal {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	return func() float64 {
		limit := debug.SetMemoryLimit(-1)
		if limit <= 0 || limit == math.MaxInt64 {
			return 0
		}
		metrics.Read(samples)
		return float64(samples[0].Value.Uint64()-samples[1].Value.Uint64()) / float64(limit)
	}
}

// QueueLoad returns how full a queue is, such as the queue before an exporter: length()
// divided by capacity.
func QueueLoad(length func() int, capacity int) LoadSignal {
	return func() float64 { return float64(length()) / float64(max(1, capacity)) }
}

// CPULoad returns the processor time that this process used since the last call,
// divided by what it may use: the quota of its cgroup, or all processors of GOMAXPROCS
// without a quota. It returns 0 on systems that do not report the processor time of a
// process.
func CPULoad() LoadSignal {
	return cpuLoad(processorTime, processorLimit, time.Now)
}

func cpuLoad(used func() (time.Duration, bool), limit func() float64, now func() time.Time) LoadSignal {
	var mu sync.Mutex
	lastTime := now()
	lastUsed, _ := used()
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		t := now()
		u, ok := used()
		elapsed := t.Sub(lastTime)
		if !ok || elapsed <= 0 {
			return 0
		}
		load := float64(u-lastUsed) / float64(elapsed) / limit()
		lastTime, lastUsed = t, u
		return load
	}
}
