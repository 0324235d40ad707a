// Setup compares four ways to set telemetry up: the size of the binary, the
// lines of code, and the time until the set-up has returned. It writes a
// Markdown table:
//
//	go run . > RESULTS.md
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rounds is how often each program is started, in turns.
const rounds = 41

type program struct {
	dir, name string
	binary    string
	size      int64
	lines     int
	took      []time.Duration
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "setup:", err)
		os.Exit(1)
	}
}

func run() error {
	programs := []*program{
		{dir: "plain", name: "SDK and OTLP/HTTP exporters"},
		{dir: "clew", name: "otelsetup"},
		{dir: "auto", name: "autoexport and autoprop"},
		{dir: "conf", name: "otelconf"},
	}
	tmp, err := os.MkdirTemp("", "setup")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, p := range programs {
		if err := p.build(tmp); err != nil {
			return err
		}
	}
	for range rounds {
		for _, p := range programs {
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	fmt.Println("# Ways to set telemetry up\n\nWritten by `go run . > RESULTS.md` in this directory. Binaries are stripped; times are the median of",
		rounds, "starts,\nin turns, of the set-up call alone, beside that of the first row.")
	fmt.Println("\n| | lines of set-up code | binary | | time to set up | |\n|---|---|---|---|---|---|")
	first := programs[0]
	for _, p := range programs {
		fmt.Printf("| %s | %d | %.1f MB | %+.1f MB | %.2f ms | x%.1f |\n", p.name, p.lines, float64(p.size)/1e6,
			float64(p.size-first.size)/1e6, p.median().Seconds()*1e3, p.median().Seconds()/first.median().Seconds())
	}
	return nil
}

func (p *program) build(tmp string) error {
	p.binary = filepath.Join(tmp, p.dir)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", p.binary, "./"+p.dir) //nolint:gosec,noctx // the directories above
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return err
	}
	info, err := os.Stat(p.binary)
	if err != nil {
		return err
	}
	p.size = info.Size()
	text, err := os.ReadFile(filepath.Join(p.dir, "main.go"))
	if err != nil {
		return err
	}
	_, code, _ := strings.Cut(string(text), "// begin set-up\n")
	code, _, _ = strings.Cut(code, "// end set-up")
	for line := range strings.Lines(code) {
		if strings.TrimSpace(line) != "" {
			p.lines++
		}
	}
	return nil
}

func (p *program) start() error {
	cmd := exec.Command(p.binary) //nolint:gosec,noctx // built above
	cmd.Env = append(os.Environ(), "OTEL_CONFIG_FILE="+filepath.Join("conf", "otel.yaml"))
	if p.dir != "conf" {
		cmd.Env = os.Environ()
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", p.dir, err, stderr.String())
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	p.took = append(p.took, time.Duration(ns))
	return err
}

func (p *program) median() time.Duration {
	sorted := slices.Sorted(slices.Values(p.took))
	return sorted[len(sorted)/2]
}
