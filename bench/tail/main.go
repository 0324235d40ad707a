// Command tail measures what deciding after the fact costs: a dropped span
// beside a recorded one that goes nowhere, one core beside two, and a service
// that exports everything beside one that samples at its head or its tail.
//
//	go run . -o results.md
//
// Variants run in turns, and what is reported are medians of rounds and of the
// ratios within a round. Costs are processor time of the whole process, garbage
// collection included: that is the same on a machine that is busy with other work.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 15, "rounds, each of which runs every variant once")
	requests := flag.Int("requests", 4000, "requests per variant and round")
	out := flag.String("o", "", "file for the results besides standard output")
	flag.Parse()
	if err := run(*rounds, *requests, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(rounds, requests int, out string) error {
	var results bytes.Buffer
	if err := report(io.MultiWriter(os.Stdout, &results), rounds, requests); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	return os.WriteFile(out, results.Bytes(), 0o644)
}

func report(w io.Writer, rounds, requests int) error {
	fmt.Fprintf(w, "# In-process tail sampling: what it costs\n\n%s, %s/%s, %d cores; medians of %d rounds. Regenerate with `go run . -o results.md`.\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds)
	if err := reportSpans(w, rounds); err != nil {
		return err
	}
	if err := reportCores(w, rounds); err != nil {
		return err
	}
	return reportService(w, rounds, requests)
}

// A sample is one measurement of one variant.
type sample struct {
	perOp  time.Duration // processor time
	wall   time.Duration // per operation, too
	allocs float64
}

// add adds one of so many turns of equal length.
func (s *sample) add(turn sample, turns int) {
	s.perOp += turn.perOp / time.Duration(turns)
	s.wall += turn.wall / time.Duration(turns)
	s.allocs += turn.allocs / float64(turns)
}

// measure runs f, which does n operations.
func measure(n int, f func()) sample {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, used := time.Now(), processorTime()
	f()
	used, took := processorTime()-used, time.Since(start)
	runtime.ReadMemStats(&after)
	return sample{used / time.Duration(n), took / time.Duration(n), float64(after.Mallocs-before.Mallocs) / float64(n)}
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err) // only for arguments that are not these
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func median[T float64 | time.Duration](values []T) T {
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

// perOp returns the processor times of samples.
func perOp(samples []sample) []time.Duration {
	times := make([]time.Duration, len(samples))
	for i, s := range samples {
		times[i] = s.perOp
	}
	return times
}

// ratios returns x/y for each round.
func ratios(x, y []time.Duration) []float64 {
	r := make([]float64, len(x))
	for i := range x {
		r[i] = float64(x[i]) / float64(y[i])
	}
	return r
}
