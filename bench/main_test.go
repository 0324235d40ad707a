package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRun runs every row shortly. Times mean nothing then; allocations do.
func TestRun(t *testing.T) {
	out := t.TempDir()
	if err := run(settings{rounds: 1, batch: 100 * time.Microsecond}, out); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"codec.md": "| Extract, no trace headers |", "codec.svg": "</svg>"} {
		text, err := os.ReadFile(filepath.Join(out, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q: %v", file, want, err)
		}
	}
	stock := againstStock()
	stock.measure(settings{rounds: 1, batch: time.Millisecond})
	for _, r := range stock.rows {
		ours, theirs := r.results[0].allocs, r.results[1].allocs
		if most := r.want.allocs; most >= 0 && ours >= float64(most)+0.5 || most == sameAllocs && ours > theirs+0.5 {
			t.Errorf("%s: %.2f allocations, required %s", r.name, ours, r.want)
		}
	}
}
