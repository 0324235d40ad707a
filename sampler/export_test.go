package sampler

import "time"

// CPULoadOf is CPULoad for a process and a system of the test's making.
func CPULoadOf(used func() time.Duration, limit float64, now func() time.Time) LoadSignal {
	return cpuLoad(func() (time.Duration, bool) { return used(), true }, func() float64 { return limit }, now)
}

// CgroupQuota reads the files of a test.
var CgroupQuota = cgroupQuota

// ProcessorTime is what CPULoad reads.
var ProcessorTime = processorTime
