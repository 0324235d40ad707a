package sampler_test

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/clewtrace/clew/sampler"
)

func TestHeapLoad(t *testing.T) {
	load := sampler.HeapLoad()
	previous := debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetMemoryLimit(previous)
	if got := load(); got != 0 {
		t.Errorf("without a limit: %v, want 0", got)
	}
	debug.SetMemoryLimit(1 << 40)
	if got := load(); got <= 0 || got > 0.5 {
		t.Errorf("with a limit of 1 TiB: %v", got)
	}
}

func TestQueueLoad(t *testing.T) {
	length := 0
	load := sampler.QueueLoad(func() int { return length }, 8)
	for _, c := range []struct {
		length int
		want   float64
	}{{0, 0}, {4, 0.5}, {8, 1}, {16, 2}} {
		length = c.length
		if got := load(); got != c.want {
			t.Errorf("%d of 8: %v, want %v", c.length, got, c.want)
		}
	}
}

func TestCPULoad(t *testing.T) {
	now, used := time.Unix(0, 0), time.Duration(0)
	load := sampler.CPULoadOf(func() time.Duration { return used }, 0.5, func() time.Time { return now })
	for _, c := range []struct {
		elapsed, used time.Duration
		want          float64
	}{
		{time.Second, 0, 0},
		{time.Second, 250 * time.Millisecond, 0.5},
		{2 * time.Second, time.Second, 1},
		{0, 0, 0},
		{time.Second, time.Second, 2},
	} {
		now, used = now.Add(c.elapsed), used+c.used
		if got := load(); got != c.want {
			t.Errorf("%v in %v at half a processor: %v, want %v", c.used, c.elapsed, got, c.want)
		}
	}
}

// The real one: a busy loop is load, and it is bounded by the processors.
func TestCPULoadOfThisProcess(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not measured there")
	}
	load := sampler.CPULoad()
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; { //nolint:revive // busy on purpose
	}
	if got := load(); got <= 0 {
		t.Errorf("after a busy loop: %v", got)
	}
}

func TestCgroupQuota(t *testing.T) {
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		want             float64
		ok               bool
	}{
		{"version 2", "0::/app\n", map[string]string{"app/cpu.max": "150000 100000\n"}, 1.5, true},
		{"version 2, no quota", "0::/app\n", map[string]string{"app/cpu.max": "max 100000\n"}, 0, false},
		{"version 2, quota of the parent", "0::/pod/app\n", map[string]string{"pod/app/cpu.max": "max 100000\n", "pod/cpu.max": "50000 100000"}, 0.5, true},
		{"version 2, the smaller of both", "0::/pod/app\n", map[string]string{"pod/app/cpu.max": "200000 100000\n", "pod/cpu.max": "100000 100000"}, 1, true},
		{"version 2, in a namespace", "0::/\n", map[string]string{"cpu.max": "25000 100000\n"}, 0.25, true},
		{"version 1", "3:cpuacct,cpu:/app\n1:name=x:/\n", map[string]string{"cpu/app/cpu.cfs_quota_us": "75000\n", "cpu/app/cpu.cfs_period_us": "50000\n"}, 1.5, true},
		{"version 1, no quota", "3:cpu:/app\n", map[string]string{"cpu/app/cpu.cfs_quota_us": "-1\n", "cpu/app/cpu.cfs_period_us": "50000\n"}, 0, false},
		{"nothing", "", nil, 0, false},
		{"malformed", "x\n0::/a\n", map[string]string{"a/cpu.max": "1"}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(name, text string) {
				t.Helper()
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("membership", c.membership)
			for name, text := range c.files {
				write(name, text)
			}
			got, ok := sampler.CgroupQuota(filepath.Join(root, "membership"), root)
			if got != c.want || ok != c.ok {
				t.Errorf("got %v, %v; want %v, %v", got, ok, c.want, c.ok)
			}
		})
	}
}
