package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const buildRounds = 5

// measureBuilds compares builds by the time of day, because most of a build that
// has nothing to do is spent in other processes.
func measureBuilds(p paths, dir string, first bool) (string, error) {
	var b strings.Builder
	fmt.Fprintln(&b, "| | plain go | clew go | |\n|---|---|---|---|")
	source := filepath.Join(dir, "program")
	if err := os.CopyFS(source, os.DirFS("plain")); err != nil {
		return "", err
	}
	if err := os.CopyFS(filepath.Join(source, "work"), os.DirFS("work")); err != nil {
		return "", err
	}
	main := filepath.Join(source, "main.go")
	text, err := os.ReadFile(main)
	if err != nil {
		return "", err
	}
	text = []byte(strings.ReplaceAll(string(text), "github.com/clewtrace/clew/bench/auto/work", "plain.example/program/work"))
	if err := os.WriteFile(filepath.Join(source, "go.mod"), []byte("module plain.example/program\n\ngo 1.25\n"), 0o600); err != nil {
		return "", err
	}
	edits := 0
	edit := func() error {
		edits++
		return os.WriteFile(main, fmt.Appendf(text, "\nvar _ = %d\n", edits), 0o600)
	}
	// Each has an executable of its own: the go command links again what it finds
	// that another one has linked, and that is not a build with nothing to do.
	plain := []string{"go", "build", "-C", source, "-o", "plain", "."}
	clew := []string{p.clew, "go", "build", "-C", source, "-o", "clew", "."}
	if first {
		err := row(&b, "the first build, on empty caches", 1, edit, plain, clew,
			[]string{"GOCACHE=" + filepath.Join(dir, "cache1")}, []string{"GOCACHE=" + filepath.Join(dir, "cache2"), "CLEW_GO_CACHE=" + filepath.Join(dir, "cache3")})
		if err != nil {
			return "", err
		}
	}
	if err := row(&b, "a build after an edit", buildRounds, edit, plain, clew, nil, nil); err != nil {
		return "", err
	}
	if err := row(&b, "a build with nothing to do", buildRounds, func() error { return nil }, plain, clew, nil, nil); err != nil {
		return "", err
	}
	if err := sizes(&b, p, dir); err != nil {
		return "", err
	}
	return b.String(), nil
}

func row(b *strings.Builder, what string, rounds int, prepare func() error, plain, clew, plainEnv, clewEnv []string) error {
	var times [2][]float64
	for range rounds {
		for i, c := range [][]string{plain, clew} {
			if err := prepare(); err != nil {
				return err
			}
			start := time.Now()
			if err := command([][]string{plainEnv, clewEnv}[i], c...); err != nil {
				return err
			}
			times[i] = append(times[i], time.Since(start).Seconds())
		}
	}
	one, other := median(times[0]), median(times[1])
	fmt.Fprintf(b, "| %s | %.2f s | %.2f s | %.2f x |\n", what, one, other, other/one)
	return nil
}

// sizes compares stripped executables.
func sizes(b *strings.Builder, p paths, dir string) error {
	var size [2]float64
	for i, c := range [][]string{{"go"}, {p.clew, "go"}} {
		out := filepath.Join(dir, "stripped")
		if err := command(nil, append(c, "build", "-ldflags=-s -w", "-o", out, "./plain")...); err != nil {
			return err
		}
		info, err := os.Stat(out)
		if err != nil {
			return err
		}
		size[i] = float64(info.Size()) / 1e6
	}
	fmt.Fprintf(b, "| executable, stripped | %.1f MB | %.1f MB | + %.1f MB |\n", size[0], size[1], size[1]-size[0])
	return nil
}
