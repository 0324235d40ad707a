// Command auto measures what "clew go" costs, beside the same program built by
// plain go and instrumented by hand:
//
//	cd bench/auto && go run . [-builds]
//
// The contenders are processes of their own that work in turns, many short
// rounds each; a row shows medians of processor time. With -builds, the first
// build on empty caches is measured too, which takes minutes.
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
	rounds := flag.Int("rounds", 30, "rounds per row")
	builds := flag.Bool("builds", false, "measure the first build too")
	out := flag.String("out", "results.md", "file for the tables")
	flag.Parse()
	if err := run(*rounds, *builds, *out); err != nil {
		fmt.Fprintln(os.Stderr, "auto:", err)
		os.Exit(1)
	}
}

func run(rounds int, first bool, out string) error {
	dir, err := os.MkdirTemp("", "clew-bench-auto-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p := paths{clew: filepath.Join(dir, "clew"), plain: filepath.Join(dir, "plain"), traced: filepath.Join(dir, "traced"), byhand: filepath.Join(dir, "byhand")}
	if err := p.build(); err != nil {
		return err
	}
	requests, err := measureRequests(p, rounds)
	if err != nil {
		return err
	}
	builds, err := measureBuilds(p, dir, first)
	if err != nil {
		return err
	}
	text := "# What clew go costs\n\n`go run .` in this directory writes this file. Ratios are to plain go.\n\n" + requests + "\n" + builds
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

// worker is a contender.
type worker struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Scanner
	ns   []float64
	made []float64
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

func (w *worker) round(name string, n int) error {
	if _, err := fmt.Fprintln(w.in, name, n); err != nil {
		return err
	}
	var ns, made float64
	if !w.out.Scan() {
		return fmt.Errorf("%s has ended", w.name)
	}
	if _, err := fmt.Sscan(w.out.Text(), &ns, &made); err != nil {
		return err
	}
	w.ns, w.made = append(w.ns, ns), append(w.made, made)
	return nil
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

func measureRequests(p paths, rounds int) (string, error) {
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })) //nolint:errcheck // a sink
	defer sink.Close()
	sends := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + sink.URL}
	var workers []*worker
	for _, c := range []struct {
		name, path string
		env        []string
	}{
		{"plain go", p.plain, nil}, {"hooks nil", p.traced, []string{"OTEL_SDK_DISABLED=true"}}, {"recorded", p.traced, sends},
		{"by hand", p.byhand, sends},
	} {
		w, err := start(c.name, c.path, c.env...)
		if err != nil {
			return "", err
		}
		defer w.end()
		workers = append(workers, w)
	}
	var b strings.Builder
	fmt.Fprintln(&b, "| operation | plain go | hooks nil | recorded | by hand | allocations |\n|---|---|---|---|---|---|")
	for _, r := range rows {
		for range rounds {
			// In any order: who comes after whom counts in short rounds.
			for _, i := range rand.Perm(len(workers)) {
				if err := workers[i].round(r.name, r.n); err != nil {
					return "", err
				}
			}
		}
		writeRow(&b, r.what, workers)
	}
	return b.String(), nil
}

// writeRow writes the medians, and forgets them.
func writeRow(b *strings.Builder, what string, workers []*worker) {
	base := median(workers[0].ns)
	fmt.Fprintf(b, "| %s |", what)
	var made []string
	for i, w := range workers {
		if i == 0 {
			fmt.Fprintf(b, " %.0f ns |", base)
		} else {
			fmt.Fprintf(b, " %.2f x |", median(w.ns)/base)
		}
		made = append(made, fmt.Sprintf("%.0f", median(w.made)))
		w.ns, w.made = nil, nil
	}
	fmt.Fprintf(b, " %s |\n", strings.Join(made, ", "))
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
