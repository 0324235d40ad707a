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
	"syscall"
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
	Link    string   // further flags for the linker
}

// Build returns the path of the program, which it builds if this user's cache
// does not hold it.
func (m Module) Build() (string, error) {
	return cached(m.Name+"-"+m.Version, func(ctx context.Context, path string) error {
		src, err := m.source(ctx)
		if err != nil {
			return err
		}
		return build(ctx, src, path, m.Link, "-tags="+strings.Join(m.Tags, ","), m.Program)
	})
}

// source returns the directory of the module's source in the module cache.
func (m Module) source(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "mod", "download", "-json", m.Path+"@"+m.Version)
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
		return build(ctx, dir, path, "", ".")
	})
}

// build builds packages as go vet and go test of all modules here do, without
// -trimpath and the like, so that what they have compiled serves here too.
func build(ctx context.Context, dir, path, link string, args ...string) error {
	_, err := goCommand(ctx, append([]string{"build", "-C", dir, "-ldflags=-s -w " + link, "-o", path}, args...)...)
	return err
}

// cached returns the path of the program, for which it calls build if need be.
// Test programs that run at the same time wait for the first of them.
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
	unlock, err := lock(path + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	// Renamed when complete: an interrupted build leaves nothing that looks built.
	building := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(building) }() // what is left of a failed build
	// No test's context: what one test starts, the others need.
	if err := build(context.Background(), building); err != nil {
		return "", err
	}
	return path, os.Rename(building, path)
}

// lock waits until no other process has the file locked. The lock ends with the
// process at the latest.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() { _ = file.Close() }, nil
}

func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	out, err := cmd.Output()
	if exitErr, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, exitErr.Stderr)
	}
	return out, err
}
