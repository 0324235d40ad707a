package sampler

import (
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// processorLimit returns how many processors this process may use.
func processorLimit() float64 {
	if quota, ok := cgroupQuota("/proc/self/cgroup", "/sys/fs/cgroup"); ok {
		return min(quota, float64(runtime.NumCPU()))
	}
	return float64(runtime.GOMAXPROCS(0))
}

// cgroupQuota returns the processor quota of the cgroup that the membership
// file names, or of the closest one above it that has a quota.
func cgroupQuota(membership, root string) (float64, bool) {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		// The fields are hierarchy:controllers:path (Linux manual, "cgroups(7)").
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		var read func(dir string) (float64, bool)
		dir := root
		switch {
		case fields[0] == "0" && fields[1] == "":
			read = quotaV2
		case strings.Contains(","+fields[1]+",", ",cpu,"):
			read, dir = quotaV1, root+"/cpu"
		default:
			continue
		}
		least, found := 0.0, false
		for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
			if quota, ok := read(path.Join(dir, at)); ok && (!found || quota < least) {
				least, found = quota, true
			}
			if at == "/" {
				break
			}
		}
		if found {
			return least, true
		}
	}
	return 0, false
}

func quotaV2(dir string) (float64, bool) {
	text, err := os.ReadFile(path.Join(dir, "cpu.max"))
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 {
		return 0, false
	}
	return quota(fields[0], fields[1]) // "max" means no quota, and quota reports false for it
}

func quotaV1(dir string) (float64, bool) {
	runtimeText, err := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return 0, false
	}
	period, err := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return 0, false
	}
	return quota(strings.TrimSpace(string(runtimeText)), strings.TrimSpace(string(period)))
}

func quota(perPeriod, period string) (float64, bool) {
	q, err := strconv.ParseFloat(perPeriod, 64)
	if err != nil || q <= 0 { // in version 1, -1 means no quota
		return 0, false
	}
	p, err := strconv.ParseFloat(period, 64)
	if err != nil || p <= 0 {
		return 0, false
	}
	return q / p, true
}
