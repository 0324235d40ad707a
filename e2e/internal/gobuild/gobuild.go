// Package gobuild builds programs from published Go modules, once for each user
// and version: what it has built stays below [os.UserCacheDir], in clew-e2e.
package gobuild

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Module is a program that is built inside its own module, with the dependencies
// that its authors chose, none of which reach the go.mod of a test.
type Module struct {
	Name    string   // of the file in the cache
	Path    string   // of the module
	Version string   // of the module
	Sum     string   // of the module, as go.sum would pin it
	Program string   // package, as seen from the module's root
	Tags    []string // of the build

	// DropReplace are modules that the program's go.mod replaces by folders that
	// are not published with it, and Sums the lines of go.sum for what is used
	// instead.
	DropReplace, Sums []string
}

// Build returns the path of the program, which it builds if this user's cache
// does not hold it.
func (m Module) Build() (string, error) {
	return cached(m.Name+"-"+m.Version, func(ctx context.Context, path string) error {
		src, err := m.source(ctx)
		if err != nil {
			return err
		}
		args := []string{"build", "-C", src, "-trimpath", "-ldflags=-s -w", "-tags", strings.Join(m.Tags, ","), "-o", path}
		if len(m.DropReplace) > 0 {
			modfile, err := m.modfile(ctx, src)
			if err != nil {
				return err
			}
			defer os.RemoveAll(filepath.Dir(modfile))
			args = append(args, "-modfile="+modfile)
		}
		_, err = goCommand(ctx, portable, append(args, m.Program)...)
		return err
	})
}

// source returns the directory of the module's source in the module cache.
func (m Module) source(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, portable, "mod", "download", "-json", m.Path+"@"+m.Version)
	if err != nil {
		return "", err
	}
	var found struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &found); err != nil {
		return "", err
	}
	if found.Sum != m.Sum {
		return "", fmt.Errorf("%s@%s has the checksum %s, want %s", m.Path, m.Version, found.Sum, m.Sum)
	}
	return found.Dir, nil
}

// modfile returns a copy of the go.mod in src, with a go.sum beside it, that
// can be built from what is published.
func (m Module) modfile(ctx context.Context, src string) (string, error) {
	dir, err := os.MkdirTemp("", m.Name)
	if err != nil {
		return "", err
	}
	for name, more := range map[string][]string{"go.mod": nil, "go.sum": m.Sums} {
		content, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			return "", err
		}
		for _, line := range more {
			content = append(content, line+"\n"...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "go.mod")
	for _, module := range m.DropReplace {
		if _, err := goCommand(ctx, portable, "mod", "edit", "-dropreplace="+module, path); err != nil {
			return "", err
		}
	}
	return path, nil
}

// Main is like [Module.Build] for the main package in dir, a module of this
// repository of which every file counts as part of the version.
func Main(name, dir string) (string, error) {
	digest := sha256.New()
	for _, file := range []string{"go.mod", "go.sum", "main.go"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return "", err
		}
		digest.Write(content)
	}
	return cached(fmt.Sprintf("%s-%.12x", name, digest.Sum(nil)), func(ctx context.Context, path string) error {
		// As the vet of the same module builds it, so that neither does it again.
		_, err := goCommand(ctx, nil, "build", "-C", dir, "-ldflags=-s -w", "-o", path, ".")
		return err
	})
}

// cached returns the path of the program, for which it calls build if need be.
func cached(name string, build func(ctx context.Context, path string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "clew-e2e", fmt.Sprintf("%s-%s-%s", name, runtime.GOOS, runtime.GOARCH))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	// Renamed when complete: an interrupted build leaves nothing that looks built,
	// and of two at once the last one wins.
	building := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(building) }() // what is left of a failed build
	// No test's context: what one test starts, the others need.
	if err := build(context.Background(), building); err != nil {
		return "", err
	}
	return path, os.Rename(building, path)
}

// portable is the environment of a build that needs no C compiler.
var portable = []string{"CGO_ENABLED=0"}

func goCommand(ctx context.Context, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly"), env...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, exit.Stderr)
	}
	return out, err
}
