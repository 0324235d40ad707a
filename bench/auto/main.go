// Command auto measures what "clew go" costs, beside the same program built by
// plain go and instrumented by hand:
//
//	cd bench/auto && go run . [-builds]
//
// The contenders are processes of their own that work in turns, many short
// rounds each; a row shows medians of processor time. Two processes of one program
// differ by some percent for as long as they run, so that they are started several
// times. With -builds, the first build on empty caches is measured too, which takes
// minutes.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	starts := flag.Int("starts", 12, "how often the contenders are started")
	rounds := flag.Int("rounds", 6, "rounds per row after each start")
	builds := flag.Bool("builds", false, "measure the first build too")
	out := flag.String("out", "results.md", "file for the tables")
	flag.Parse()
	if err := run(*starts, *rounds, *builds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "auto:", err)
		os.Exit(1)
	}
}

func run(starts, rounds int, first bool, out string) error {
	dir, err := os.MkdirTemp("", "clew-bench-auto-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := paths{clew: filepath.Join(dir, "clew"), plain: filepath.Join(dir, "plain"), traced: filepath.Join(dir, "traced"), byhand: filepath.Join(dir, "byhand")}
	if err := p.build(); err != nil {
		return err
	}
	requests, err := measureRequests(p, starts, rounds)
	if err != nil {
		return err
	}
	builds, err := measureBuilds(p, dir, first)
	if err != nil {
		return err
	}
	text := "# What clew go costs\n\n`go run .` in this directory writes this file. Ratios are to plain go. The program that is instrumented by hand\n" +
		"records its requests, and not the lines of a logger of its own.\n\n" + requests + "\n" + builds
	fmt.Print(text)
	return os.WriteFile(out, []byte(text), 0o600)
}

// paths are the executables.
type paths struct{ clew, plain, traced, byhand string }

func (p paths) build() error {
	for _, c := range [][]string{
		{"go", "build", "-C", "../..", "-o", p.clew, "./cmd/clew"},
		{"go", "build", "-o", p.plain, "./plain"},
		{"go", "build", "-o", p.byhand, "./byhand"},
		{p.clew, "go", "build", "-o", p.traced, "./plain"},
	} {
		if err := command(nil, c...); err != nil {
			return err
		}
	}
	return nil
}

func command(env []string, args ...string) error {
	cmd := exec.Command(args[0], args[1:]...) //nolint:noctx // ends by itself
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// worker is a process of a contender.
type worker struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
}

func start(name, path string, env ...string) (*worker, error) {
	w := &worker{name: name, cmd: exec.Command(path)} //nolint:noctx // ends with its input
	w.cmd.Env = append(os.Environ(), env...)
	w.cmd.Stderr = os.Stderr
	var err error
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	pipe, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewScanner(pipe)
	return w, w.cmd.Start()
}

// round returns the nanoseconds and the allocations of an operation.
func (w *worker) round(name string, n int) (ns, made float64, err error) {
	if _, err := fmt.Fprintln(w.in, name, n); err != nil {
		return 0, 0, err
	}
	if !w.out.Scan() {
		return 0, 0, fmt.Errorf("%s has ended", w.name)
	}
	_, err = fmt.Sscan(w.out.Text(), &ns, &made)
	return ns, made, err
}

func (w *worker) end() {
	w.in.Close()
	w.cmd.Wait() //nolint:errcheck // it has done its work
}

// rows are the operations, and how many make a round.
var rows = []struct {
	name, what string
	n          int
}{
	{"server", "a request that is served", 5000},
	{"both", "a request that is sent and served", 3000},
	{"go", "a go statement", 20000},
	{"slog", "a line of log/slog", 5000},
	{"afterfunc", "time.AfterFunc", 20000},
}

// contenders are what is compared, and sample what was measured of one: its
// nanoseconds and its allocations.
var contenders = [...]string{"plain go", "hooks nil", "recorded", "by hand"}

type sample struct{ ns, made []float64 }

func measureRequests(p paths, starts, rounds int) (string, error) {
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })) //nolint:errcheck // a sink
	defer sink.Close()
	samples := make([][len(contenders)]sample, len(rows))
	for range starts {
		if err := measureStart(p, rounds, sink.URL, samples); err != nil {
			return "", err
		}
	}
	var b strings.Builder
	fmt.Fprintln(&b, "| operation | plain go | hooks nil | recorded | by hand | recorded / by hand | allocations |\n|---|---|---|---|---|---|---|")
	for i, r := range rows {
		writeRow(&b, r.what, samples[i])
	}
	return b.String(), nil
}

// measureStart starts the contenders once, and adds to the samples of each row.
func measureStart(p paths, rounds int, endpoint string, samples [][len(contenders)]sample) error {
	sends := "OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint
	var workers [len(contenders)]*worker
	for i, c := range [len(contenders)]struct{ path, env string }{
		{p.plain, sends}, {p.traced, "OTEL_SDK_DISABLED=true"}, {p.traced, sends}, {p.byhand, sends},
	} {
		w, err := start(contenders[i], c.path, c.env)
		if err != nil {
			return err
		}
		defer w.end()
		workers[i] = w
	}
	for at, r := range rows {
		for round := range rounds + 1 {
			// In any order: who comes after whom counts in short rounds.
			for _, i := range rand.Perm(len(workers)) {
				ns, made, err := workers[i].round(r.name, r.n)
				if err != nil {
					return err
				}
				if s := &samples[at][i]; round > 0 { // the first one fills caches
					s.ns, s.made = append(s.ns, ns), append(s.made, made)
				}
			}
		}
	}
	return nil
}

func writeRow(b *strings.Builder, what string, samples [len(contenders)]sample) {
	var ns [len(contenders)]float64
	var made []string
	for i, s := range samples {
		ns[i] = median(s.ns)
		made = append(made, fmt.Sprintf("%.0f", median(s.made)))
	}
	fmt.Fprintf(b, "| %s | %.0f ns | %.2f x | %.2f x | %.2f x | %.2f | %s |\n",
		what, ns[0], ns[1]/ns[0], ns[2]/ns[0], ns[3]/ns[0], ns[2]/ns[3], strings.Join(made, ", "))
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
