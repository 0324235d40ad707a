package sampler_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

var (
	seeds  = flag.Int("seeds", 6, "how many seeds each scenario is run with; from 2000 on, chance is no excuse for a mean off by 1%")
	update = flag.Bool("update", false, "write the tables and the charts in docs")
)

func scenarios() []scenario {
	one := func(next ...func() source) func() []source {
		return func() (all []source) {
			for _, n := range next {
				all = append(all, n())
			}
			return all
		}
	}
	fixed := func(all ...source) func() []source { return func() []source { return all } }
	minute := func(o *outcomes) []requirement {
		return []requirement{between("kept per minute", o.perMinute(), 588, 612)}
	}
	firstTen := func(o *outcomes) []requirement {
		return []requirement{atMost("kept in the first 10 s", o.kept(), 120)}
	}
	return []scenario{
		{
			name: "1,000 to 10,000/s", operations: 1, from: 20, to: 30,
			traffic: fixed(source{step(1000, 20, 10_000), only(0)}),
			require: func(o *outcomes) []requirement {
				return []requirement{atMost("kept in the first 10 s", o.kept(), 115)}
			},
		},
		{
			name: "20 to 10,000/s", operations: 1, from: 30, to: 40,
			traffic: fixed(source{step(20, 30, 10_000), only(0)}), require: firstTen,
		},
		{
			name: "first start at 10,000/s", operations: 1, from: 0, to: 10,
			traffic: fixed(source{constant(10_000), only(0)}), require: firstTen,
		},
		{
			name: "600 s idle, then 10,000/s", operations: 1, from: 610, to: 620, maxSpread: 2,
			traffic: fixed(source{idle(10, 610, 1000, 10_000), only(0)}), require: firstTen,
		},
		{
			name: "10,000 to 1,000/s", operations: 1, from: 10, to: 70, maxSpread: 1.5,
			traffic: fixed(source{step(10_000, 10, 1000), only(0)}),
			require: func(o *outcomes) []requirement {
				return []requirement{between("kept in the 60 s after", o.kept(), 580, 620)}
			},
		},
		{
			name: "steady 1,000/s", operations: 1, from: 20, to: 140,
			traffic: fixed(source{constant(1000), only(0)}), require: minute,
		},
		{
			name: "daily wave", operations: 1, from: 60, to: 360,
			traffic: fixed(source{wave(500, 300), only(0)}), require: minute,
		},
		{
			name: "500 operations, Zipf 1.1", operations: 500, from: 60, to: 120, maxSpread: 1.5, leastSpread: func() float64 {
				// For the worst of 2,000 seeds to see 480, as required, all see
				// about 490: how many are missing varies by three or so.
				return leastSpread(zipfRates(500, 1.1, 1000), 600, 10)
			},
			traffic: fixed(source{constant(1000), zipf(500, 1.1)}),
			require: func(o *outcomes) []requirement {
				return append(minute(o), atLeast("operations seen", o.seen(500), 480))
			},
		},
		{
			name: "flood of 20,000/s beside 50 at 1/s", operations: 51, from: 60, to: 120,
			traffic: fixed(source{constant(50), uniform(50)}, source{step(1e-9, 60, 20_000), only(50)}),
			require: func(o *outcomes) []requirement {
				return []requirement{atMost("kept per minute", o.perMinute(), 630), atLeast("of the 50 seen", o.seen(50), 50)}
			},
		},
		{
			name: "one per minute, alone", operations: 1, from: 0, to: 601,
			traffic: fixed(source{every(60), only(0)}),
			require: func(o *outcomes) []requirement {
				return []requirement{atLeast("share kept", o.shareKept(0), 1)}
			},
		},
		{
			name: "one per minute beside 1,000/s", operations: 2, from: 0, to: 301,
			traffic: fixed(source{every(60), only(0)}, source{constant(1000), only(1)}),
			require: func(o *outcomes) []requirement {
				return []requirement{atLeast("share kept of the rare one", o.shareKept(0), 1)}
			},
		},
		{
			name: "10,000 operations, 1,000 tracked", operations: 10_000, from: 60, to: 120, maxSpread: 2.4,
			traffic: fixed(source{constant(1000), zipf(10_000, 1.1)}),
			require: func(o *outcomes) []requirement { return []requirement{atMost("kept per minute", o.perMinute(), 630)} },
		},
		{
			name: "1 s on, 1 s off at 10,000/s", operations: 1, from: 0, to: 60, maxSpread: 1.5,
			traffic: fixed(source{onOff(1, 1, 10_000), only(0)}), require: bursts,
		},
		{
			name: "Pareto on/off at 5,000/s", operations: 1, from: 0, to: 60, maxSpread: 1.5,
			traffic: one(func() source { return source{paretoOnOff(5000), only(0)} }), require: bursts,
		},
		{
			name: "batches of 8 at one instant", operations: 1, from: 20, to: 80, maxSpread: 1.5,
			traffic: one(func() source { return source{batches(125, 8), only(0)} }),
			require: func(o *outcomes) []requirement {
				return []requirement{between("kept per second", scale(o.kept(), 1.0/60), 9.5, 10.5)}
			},
		},
		{
			name: "below the target, 8/s", operations: 1, from: 0, to: 300,
			traffic: fixed(source{constant(8), only(0)}),
			require: func(o *outcomes) []requirement {
				return []requirement{atLeast("share kept", o.shareKept(0), 0.98)}
			},
		},
		{
			name: "50 operations, Zipf 1.1", operations: 50, from: 60, to: 120,
			traffic: fixed(source{constant(1000), zipf(50, 1.1)}),
			require: func(o *outcomes) []requirement {
				limit := 0.30
				if len(o.all) < 200 { // one seed is off by 0.03
					limit += 0.15 / math.Sqrt(float64(len(o.all)))
				}
				return append(minute(o), atMost("mean relative error per operation", []float64{o.operationError()}, limit))
			},
		},
	}
}

func bursts(o *outcomes) []requirement {
	shareOfBusy := make([]float64, len(o.all))
	for i := range o.all {
		shareOfBusy[i] = o.all[i].kept / (targetPerSecond * o.all[i].busy)
	}
	total := targetPerSecond * (o.sc.to - o.sc.from)
	return []requirement{
		atLeast("kept / target while on", shareOfBusy, 0.95),
		atMost("kept / target in all", scale(o.kept(), 1/total), 1.05),
	}
}

// TestScenarios shows what Adaptive promises about counts, for the worst seed,
// and about estimates, for the mean. With -update it replaces the rows of the
// scenarios that it ran.
func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	rows := make(map[string][]requirement)
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			o := runScenario(t, &sc, targetPerSecond, *seeds)
			rows[sc.name] = append(sc.require(o), atMost("kept in any one second", o.worstSecond(), 2*targetPerSecond))
			rows[sc.name] = append(rows[sc.name], o.estimates()...)
			for _, r := range rows[sc.name] {
				t.Logf("%d seeds: %s: required %s, found %s", *seeds, r.figure, r.required, r.found)
				if !r.met {
					t.Errorf("%s: required %s, found %s", r.figure, r.required, r.found)
				}
			}
		})
	}
	if *update {
		writeTable(t, rows)
	}
}

// TestAnyOneSecond shows for other targets how many spans are kept in the worst
// second of all scenarios, and that estimates stay right.
func TestAnyOneSecond(t *testing.T) {
	if testing.Short() {
		t.Skip("a simulation")
	}
	seeds := (*seeds + 5) / 6 // there are three targets, and traffic is as heavy as the largest
	var table strings.Builder
	fmt.Fprint(&table, "| target | seeds | allowed | worst | in scenario |\n|---|---|---|---|---|\n")
	for _, c := range []struct{ target, allowed float64 }{
		{1, 7}, // TestLimitIsOutOfReachAtATargetOfOne says why
		{100, 200},
		{1000, 2000},
	} {
		worst, where := 0.0, ""
		for _, sc := range scenarios() {
			t.Run(fmt.Sprintf("%v/%s", c.target, sc.name), func(t *testing.T) {
				o := runScenario(t, &sc, c.target, seeds)
				for _, kept := range o.worstSecond() {
					if kept > worst {
						worst, where = kept, sc.name
					}
				}
				for _, r := range []requirement{atMost("kept in any one second", o.worstSecond(), c.allowed), o.estimates()[0]} {
					if !r.met {
						t.Errorf("%s: required %s, found %s", r.figure, r.required, r.found)
					}
				}
			})
		}
		fmt.Fprintf(&table, "| %v | %d | %v | %v | %s |\n", c.target, seeds, c.allowed, worst, where)
	}
	t.Logf("\n%s", table.String())
	if *update {
		replaceInDocs(t, "other targets", table.String())
	}
}

// writeTable writes the rows of these scenarios and leaves the others.
func writeTable(t *testing.T, rows map[string][]requirement) {
	t.Helper()
	old := readFromDocs(t, "scenarios")
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| scenario\t| seeds\t| figure\t| required\t| worst\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|")
	for _, sc := range scenarios() {
		for _, r := range rows[sc.name] {
			fmt.Fprintf(w, "| %s\t| %d\t| %s\t| %s\t| %s\t|\n", sc.name, *seeds, r.figure, r.required, r.found)
		}
		for line := range strings.Lines(old) {
			if cells := strings.Split(line, "|"); rows[sc.name] == nil && strings.TrimSpace(cells[min(1, len(cells)-1)]) == sc.name {
				fmt.Fprint(w, "|")
				for _, cell := range cells[1 : len(cells)-1] {
					fmt.Fprintf(w, " %s\t|", strings.TrimSpace(cell))
				}
				fmt.Fprintln(w)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	replaceInDocs(t, "scenarios", table.String())
}

const docs = "../docs/sampling.md"

// replaceInDocs puts text between the two comments of that name.
func replaceInDocs(tb testing.TB, name, text string) {
	tb.Helper()
	head, _, tail := cutDocs(tb, name)
	if err := os.WriteFile(docs, []byte(head+text+tail), 0o644); err != nil {
		tb.Fatal(err)
	}
}

func readFromDocs(tb testing.TB, name string) string {
	tb.Helper()
	_, text, _ := cutDocs(tb, name)
	return text
}

func cutDocs(tb testing.TB, name string) (head, text, tail string) {
	tb.Helper()
	all, err := os.ReadFile(docs)
	if err != nil {
		tb.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, ok1 := strings.Cut(string(all), begin)
	text, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		tb.Fatalf("%s: no section %q", docs, name)
	}
	return head + begin, text, end + tail
}

func runScenario(t *testing.T, sc *scenario, target float64, seeds int) *outcomes {
	t.Helper()
	o := &outcomes{sc: sc, all: make([]outcome, seeds)}
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range next {
				o.all[seed] = simulate(t, sc, target, uint64(seed))
			}
		})
	}
	for seed := range o.all {
		next <- seed
	}
	close(next)
	wg.Wait()
	return o
}

// outcomes are those of all seeds of one scenario.
type outcomes struct {
	sc  *scenario
	all []outcome
}

func (o *outcomes) kept() (values []float64) {
	for i := range o.all {
		values = append(values, o.all[i].kept)
	}
	return values
}

func (o *outcomes) perSecond() (values []float64) {
	for i := range o.all {
		for _, kept := range o.all[i].perSecond[int(o.sc.from):] {
			values = append(values, float64(kept))
		}
	}
	return values
}

// worstSecond returns how many were kept in the second with most of them.
func (o *outcomes) worstSecond() (values []float64) {
	for i := range o.all {
		values = append(values, float64(o.all[i].worstSecond))
	}
	return values
}

func (o *outcomes) perMinute() (values []float64) {
	seconds := o.perSecond()
	perSeed := len(seconds) / len(o.all)
	for seed := range o.all {
		for m := 0; m+60 <= perSeed; m += 60 {
			sum := 0.0
			for _, kept := range seconds[seed*perSeed+m : seed*perSeed+m+60] {
				sum += kept
			}
			values = append(values, sum)
		}
	}
	return values
}

// seen counts which of the first n operations were kept at least once.
func (o *outcomes) seen(n int) (values []float64) {
	for i := range o.all {
		seen := 0.0
		for _, op := range o.all[i].operations[:n] {
			if op.kept > 0 {
				seen++
			}
		}
		values = append(values, seen)
	}
	return values
}

func (o *outcomes) shareKept(operation int) (values []float64) {
	for i := range o.all {
		op := o.all[i].operations[operation]
		values = append(values, op.kept/op.spans)
	}
	return values
}

// operationError is the mean of the relative errors of the estimated numbers
// of spans per operation.
func (o *outcomes) operationError() float64 {
	sum, n := 0.0, 0.0
	for i := range o.all {
		for _, op := range o.all[i].operations {
			if op.spans > 0 {
				sum += math.Abs(op.sum/op.spans - 1)
				n++
			}
		}
	}
	return sum / n
}

// estimates checks that adjusted counts add up to the number of spans and vary
// little more than they must.
func (o *outcomes) estimates() []requirement {
	n := float64(len(o.all))
	var ratio, squares, variance, least float64
	for i := range o.all {
		r := o.all[i].sum / o.all[i].spans
		ratio += r / n
		squares += r * r / n
		miss := o.all[i].sum - o.all[i].spans
		variance += miss * miss / n
		least += o.all[i].least / n
	}
	deviation := math.Sqrt(max(0, squares-ratio*ratio) / n)
	// With few seeds chance moves the mean by more than 1%, and the deviation
	// is itself uncertain: allow for a large one.
	tolerance := max(0.01, 5*deviation, 5*math.Sqrt(15*least/n)/o.all[0].spans)
	if n >= 2000 {
		tolerance = 0.01
	}
	checks := []requirement{{
		"sum of adjusted counts / spans, mean", "1 ± 0.01",
		fmt.Sprintf("%.4f (standard error %.4f)", ratio, deviation), math.Abs(ratio-1) <= tolerance,
	}}
	maxSpread := o.sc.maxSpread
	if maxSpread == 0 {
		maxSpread = 1.35
	}
	if o.sc.leastSpread != nil {
		least *= o.sc.leastSpread()
	}
	// A variance is itself an estimate: its standard error is sqrt(2/n).
	met := variance/least <= maxSpread*(1+5*math.Sqrt(2/n)*max(0, 1-n/2000))
	return append(checks, requirement{"its variance / least possible", fmt.Sprintf("<= %.4g", maxSpread), fmt.Sprintf("%.2f", variance/least), met})
}

// A requirement compares a figure with what it must be.
type requirement struct {
	figure, required, found string
	met                     bool
}

func atMost(figure string, values []float64, limit float64) requirement {
	worst := math.Inf(-1)
	for _, v := range values {
		worst = max(worst, v)
	}
	return requirement{figure, fmt.Sprintf("<= %.4g", limit), fmt.Sprintf("%.4g", worst), worst <= limit}
}

func atLeast(figure string, values []float64, limit float64) requirement {
	worst := math.Inf(1)
	for _, v := range values {
		worst = min(worst, v)
	}
	return requirement{figure, fmt.Sprintf(">= %.4g", limit), fmt.Sprintf("%.4g", worst), worst >= limit}
}

func between(figure string, values []float64, low, high float64) requirement {
	least, most := atLeast(figure, values, low), atMost(figure, values, high)
	return requirement{figure, fmt.Sprintf("%.4g to %.4g", low, high), least.found + " to " + most.found, least.met && most.met}
}

func scale(values []float64, by float64) []float64 {
	for i := range values {
		values[i] *= by
	}
	return values
}
