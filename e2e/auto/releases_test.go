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

// TestOtherReleases builds with toolchains that the go command downloads. Of the
// tests of programs, it has those whose places in the standard library differ
// most between releases: of the runtime, the ends of a program, and HTTP/2. Of the
// standard library's own tests it leaves out those of packages for which nearly
// everything would be compiled once more.
func TestOtherReleases(t *testing.T) {
	for _, release := range releases {
		t.Run(release, func(t *testing.T) {
			t.Setenv("GOTOOLCHAIN", release)
			dir := module(t, "exits")
			if out := output(t, clew(t, dir, "check")); !strings.HasPrefix(out, release+" in ") {
				t.Errorf("clew check says %q", out)
			}
			if out := output(t, clew(t, dir, "doctor", "-binary", build(t, dir))); !strings.Contains(out, release) {
				t.Errorf("clew doctor -binary says %q", out)
			}
			t.Run("exits", TestExits)
			t.Run("two programs", TestTwoPrograms)
			t.Run("protocols", TestProtocols)
			t.Run("scopes", func(t *testing.T) { testScopes(t) })
			t.Run("standard library", func(t *testing.T) {
				packages := []string{"database/sql", "log/slog", "net/http", "net/http/httptest", "net/http/httputil"}
				testStd(t, withTests(t, packages), packages, "hooks active")
			})
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
