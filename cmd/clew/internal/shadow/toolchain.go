package shadow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Toolchain is the Go installation that the go command chooses in a directory.
type Toolchain struct {
	Root    string // GOROOT
	Version string // go1.26.8
	Flags   string // GOFLAGS
	OS      string // what is built for
	Arch    string
	Modules string // GOMODCACHE
}

// FindToolchain asks the go command of PATH, in dir.
func FindToolchain(ctx context.Context, dir string) (Toolchain, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "-json", "GOROOT", "GOVERSION", "GOFLAGS", "GOOS", "GOARCH", "GOMODCACHE")
	cmd.Dir = dir
	out, err := output(cmd)
	if err != nil {
		return Toolchain{}, err
	}
	var env struct{ GOROOT, GOVERSION, GOFLAGS, GOOS, GOARCH, GOMODCACHE string }
	if err := json.Unmarshal(out, &env); err != nil {
		return Toolchain{}, fmt.Errorf("go env: %w", err)
	}
	t := Toolchain{env.GOROOT, env.GOVERSION, env.GOFLAGS, env.GOOS, env.GOARCH, env.GOMODCACHE}
	return t, t.check()
}

// check refuses what clew go does not work for.
func (t Toolchain) check() error {
	if _, err := os.Stat(filepath.Join(t.Root, identityFile)); err == nil {
		return fmt.Errorf("GOROOT is %s, which clew go has made: unset it", t.Root)
	}
	if !slices.Contains([]string{"linux", "darwin"}, t.OS) || !slices.Contains([]string{"amd64", "arm64"}, t.Arch) {
		return fmt.Errorf("GOOS=%s GOARCH=%s: clew go builds for linux and darwin, on amd64 and arm64. Build with plain go, and instrument by hand", t.OS, t.Arch)
	}
	return nil
}

// Go is the go command of the toolchain.
func (t Toolchain) Go() string { return filepath.Join(t.Root, "bin", "go") }

// output runs a command and returns what it prints. The error has what it has
// printed to standard error.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		text := cmp.Or(strings.TrimSpace(stderr.String()), err.Error())
		return nil, errors.New(strings.Join(cmd.Args[:min(2, len(cmd.Args))], " ") + ": " + text)
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
