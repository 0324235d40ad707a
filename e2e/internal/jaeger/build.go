package jaeger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// The Jaeger that the tests run. It is built inside its own module, with the
// dependencies that its authors chose, none of which reach this module's go.mod.
const (
	module  = "github.com/jaegertracing/jaeger"
	version = "v1.76.0"
	sum     = "h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=" // as go.sum would pin it
	program = "./cmd/all-in-one"
)

// binary returns the path of the all-in-one program, which it builds if this
// user's cache does not hold it.
var binary = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "clew-e2e", fmt.Sprintf("jaeger-%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	// No test's context: what one test starts, the others need.
	ctx := context.Background()
	src, err := source(ctx)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	// Renamed when complete: an interrupted build leaves nothing that looks built,
	// and of two at once the last one wins.
	building := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(building) }() // what is left of a failed build
	if _, err := goCommand(ctx, "build", "-C", src, "-trimpath", "-ldflags=-s -w", "-o", building, program); err != nil {
		return "", err
	}
	return path, os.Rename(building, path)
})

// source returns the directory of the module's source in the module cache.
func source(ctx context.Context) (string, error) {
	out, err := goCommand(ctx, "mod", "download", "-json", module+"@"+version)
	if err != nil {
		return "", err
	}
	var m struct{ Dir, Sum string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", err
	}
	if m.Sum != sum {
		return "", fmt.Errorf("%s@%s has the checksum %s, want %s", module, version, m.Sum, sum)
	}
	return m.Dir, nil
}

func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("%v: %w\n%s", cmd, err, exit.Stderr)
	}
	return out, err
}
