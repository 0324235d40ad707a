package main

import (
	"runtime"
	"slices"
	"syscall"
	"time"
)

type settings struct {
	rounds int
	batch  time.Duration
}

// op runs an operation n times and returns how long that took. What it has to
// prepare for n operations is not part of the time.
type op func(n int) time.Duration

// loop is an op that needs no preparation.
func loop(f func()) op {
	return func(n int) time.Duration {
		start := cpuTime()
		for range n {
			f()
		}
		return cpuTime() - start
	}
}

// cpuTime is what this process has used of its core. On a machine that others
// use too, it is steadier than the time of day.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// row is an operation by several contenders. The first is ours.
type row struct {
	name       string
	contenders []contender
	want       limit
	results    []result
}

type contender struct {
	name string
	op   op
	most int // operations per round at most; 0: no limit
	// uncounted is set if the allocations of op are not those of the operation.
	uncounted bool
}

type result struct {
	ns     float64
	allocs float64 // below 0: not known
	bytes  float64
}

// limit is what the row must meet against its second contender.
type limit struct {
	ratio  float64 // 0: none
	allocs int     // below 0: none; sameAllocs: no more than the second
}

const (
	noAllocs   = -1
	sameAllocs = -2
)

type table struct {
	title, note string
	rows        []row
}

func (t *table) measure(s settings) {
	for i := range t.rows {
		t.rows[i].measure(s)
	}
}

func (r *row) measure(s settings) {
	counts := make([]int, len(r.contenders))
	times := make([][]float64, len(r.contenders))
	for i, c := range r.contenders {
		n := 16
		for took := c.op(n); took < s.batch && (c.most == 0 || n < c.most); took = c.op(n) {
			n *= 2
		}
		if c.most > 0 {
			n = min(n, c.most)
		}
		counts[i] = n
	}
	for range s.rounds {
		for i, c := range r.contenders {
			times[i] = append(times[i], float64(c.op(counts[i]).Nanoseconds())/float64(counts[i]))
		}
	}
	for i, c := range r.contenders {
		slices.Sort(times[i])
		res := result{allocs: -1}
		if !c.uncounted {
			res = allocations(c.op, counts[i])
		}
		res.ns = times[i][len(times[i])/2]
		r.results = append(r.results, res)
	}
}

// allocations counts what n operations allocate, per operation.
func allocations(f op, n int) result {
	count := func(n int) (uint64, uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f(n)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc
	}
	m, b := count(n)
	return result{allocs: float64(m) / float64(n), bytes: float64(b) / float64(n)}
}

func (r *row) ratio() float64 { return r.results[0].ns / r.results[1].ns }

// met reports whether the limit is kept; ok is false if there is none.
func (r *row) met() (met, ok bool) {
	if r.want == (limit{allocs: noAllocs}) {
		return false, false
	}
	met = true
	if r.want.ratio > 0 {
		met = r.ratio() <= r.want.ratio
	}
	switch ours := r.results[0].allocs; r.want.allocs {
	case noAllocs:
	case sameAllocs:
		met = met && ours <= r.results[1].allocs+0.01
	default:
		// Rounds include a collection now and then, which allocates a little.
		met = met && ours < float64(r.want.allocs)+0.01
	}
	return met, true
}
