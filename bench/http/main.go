// Command http measures package clewhttp and the propagator beside otelhttp and
// the stock propagator, in the same process:
//
//	cd bench/http && go run . -o results.md
//
// All contenders of a row run in turns, many short rounds each, on one core. A
// row shows medians of processor time, their ratio, and allocations, which are
// counted and do not vary.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	out := flag.String("o", "", "file for the table; the default prints it")
	rounds := flag.Int("rounds", 31, "rounds per row")
	batch := flag.Duration("batch", 5*time.Millisecond, "time of one contender in one round")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	text := report(*rounds, *batch)
	if *out == "" {
		io.WriteString(os.Stdout, text) //nolint:errcheck // nobody to tell
		return
	}
	if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "http:", err)
		os.Exit(1)
	}
}

// row is one operation by two contenders.
type row struct {
	name        string
	stock, clew func()
	ratio       float64 // at most
	allocs      func(stock float64) float64
}

func report(rounds int, batch time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# The HTTP edge: what it costs\n\n%s, %s/%s; medians of %d rounds, in turns, on one core. Regenerate with `go run . -o results.md`.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, rounds)
	b.WriteString("The span processor and the metric reader do nothing, so that what is exported costs nothing. \"Bare\" is the same without instrumentation.\n\n")
	b.WriteString("| per request | stock | clew | ratio | limit | allocations: stock, clew | limit |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows() {
		stock, clew := compare(r, rounds, batch)
		stockAllocs, clewAllocs := allocations(r.stock), allocations(r.clew)
		limit, allocLimit := "", ""
		if r.ratio > 0 {
			limit = fmt.Sprintf("%.2f, %s", r.ratio, met(clew/stock <= r.ratio))
			most := r.allocs(stockAllocs)
			allocLimit = fmt.Sprintf("%.0f, %s", most, met(clewAllocs <= most))
		}
		fmt.Fprintf(&b, "| %s | %.0f ns | %.0f ns | %.2f | %s | %.0f, %.0f | %s |\n", r.name, stock, clew, clew/stock, limit, stockAllocs, clewAllocs, allocLimit)
	}
	return b.String()
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "**missed**"
}

// compare returns the median times of both.
func compare(r row, rounds int, batch time.Duration) (stock, clew float64) {
	ops := []func(){r.stock, r.clew}
	counts, times := [2]int{}, [2][]float64{}
	for i, op := range ops {
		n := 16
		for run(op, n) < batch {
			n *= 2
		}
		counts[i] = n
	}
	for range rounds {
		for i, op := range ops {
			times[i] = append(times[i], float64(run(op, counts[i]).Nanoseconds())/float64(counts[i]))
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	return times[0][rounds/2], times[1][rounds/2]
}

func run(op func(), n int) time.Duration {
	start := cpuTime()
	for range n {
		op()
	}
	return cpuTime() - start
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

func allocations(op func()) float64 {
	const n = 2000
	var before, after runtime.MemStats
	run(op, n)
	runtime.ReadMemStats(&before)
	run(op, n)
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / n)
}
