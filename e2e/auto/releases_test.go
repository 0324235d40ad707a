package auto_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// releases are those that clew go is tested with, besides the one that runs the
// tests.
var releases = []string{"go1.27.4"}

// TestOtherReleases builds with toolchains that the go command downloads.
func TestOtherReleases(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			env := append(os.Environ(), "GOTOOLCHAIN="+release)
			dir, path := module(t, "exits"), filepath.Join(t.TempDir(), "program")
			check := clew(t, dir, "check")
			check.Env = env
			if out := output(t, check); !strings.HasPrefix(out, release+" in ") {
				t.Errorf("clew check says %q", out)
			}
			cmd := clew(t, dir, "go", "build", "-o", path, ".")
			cmd.Env = env
			output(t, cmd)
			got, _ := run(t, path, "return")
			compare(t, got, map[string]int{"client GET(server GET)": 1})
			if out := output(t, clew(t, dir, "doctor", "-binary", path)); !strings.Contains(out, release) {
				t.Errorf("clew doctor -binary says %q", out)
			}
		})
	}
}

// TestOldReleaseIsRefused names the releases that are supported.
func TestOldReleaseIsRefused(t *testing.T) {
	dir := module(t, "exits")
	write(t, filepath.Join(dir, "go.mod"), "module plain.example/exits\n\ngo 1.24\n")
	cmd := clew(t, dir, "go", "build", ".")
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN=go1.24.13")
	if got := failure(t, cmd); !strings.Contains(got, "go1.24.13 is not a supported release") || !strings.Contains(got, "Supported are go1.26.x and go1.27.x.") {
		t.Errorf("clew go says:\n%s", got)
	}
}

// TestOtherSystem builds for a system that this test does not run on.
func TestOtherSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	cmd := clew(t, module(t, "exits"), "go", "build", "-o", path, ".")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=0")
	output(t, cmd)
	if out := output(t, clew(t, ".", "doctor", "-binary", path)); !strings.Contains(out, "was built by clew go") {
		t.Errorf("clew doctor -binary says %q", out)
	}
}
