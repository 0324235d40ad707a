package shadow

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOldGorootsAreRemoved also removes one that was left when its making was
// killed, and none that may be in use.
func TestOldGorootsAreRemoved(t *testing.T) {
	root, old := t.TempDir(), time.Now().Add(-2*keep)
	for _, name := range []string{"used", "unused", "tmp-now", "tmp-killed"} {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Join(dir, "src"), 0o755); err != nil {
			t.Fatal(err)
		}
		aged := dir
		if name == "used" || name == "unused" {
			aged = filepath.Join(dir, identityFile)
			if err := os.WriteFile(aged, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if name == "unused" || name == "tmp-killed" {
			if err := os.Chtimes(aged, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	removeOld(root)
	for name, want := range map[string]bool{"used": true, "unused": false, "tmp-now": true, "tmp-killed": false} {
		if _, err := os.Stat(filepath.Join(root, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
