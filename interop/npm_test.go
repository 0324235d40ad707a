package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// npmInstall installs packages, unless they are there already, in a directory of the
// user's cache that is named for them, and returns its node_modules. It skips
// the test where there is no npm.
func npmInstall(t *testing.T, name string, packages ...string) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("needs npm, to install ", packages)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "clew-interop")
	dir := filepath.Join(cache, name)
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	// Renamed when complete: a test that is interrupted leaves nothing half done.
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(partial)
	args := append([]string{"install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", partial}, packages...)
	if out, err := exec.CommandContext(t.Context(), npm, args...).CombinedOutput(); err != nil {
		t.Fatalf("npm install %v: %v\n%s", packages, err, out)
	}
	if err := os.Rename(partial, dir); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(modules); there != nil {
			t.Fatal(err)
		}
	}
	return modules
}
