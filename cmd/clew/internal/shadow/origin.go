package shadow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
)

// modulePath is clew's own.
const modulePath = "github.com/clewtrace/clew"

// sourceVariable names a directory that has clew's module.
const sourceVariable = "CLEW_SOURCE"

// findOrigin returns the directory of the module that this executable was built
// from: the one of the variable, the one that the compiler saw, which is a
// checkout or in the module cache, or, of a release, what the go command
// downloads unless it has it.
func findOrigin(ctx context.Context) (string, error) {
	if dir := os.Getenv(sourceVariable); dir != "" {
		if !isOrigin(dir) {
			return "", fmt.Errorf("%s=%q: there is no module %s", sourceVariable, dir, modulePath)
		}
		return filepath.Abs(dir)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
		if isOrigin(dir) {
			return dir, nil
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || info.Main.Sum == "" {
		return "", errors.New("clew's own source is not where this executable was built from. " +
			"Install a release, or set " + sourceVariable + " to a checkout of it")
	}
	return download(ctx, info.Main.Version)
}

// isOrigin reports whether dir has clew's module.
func isOrigin(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && moduleLine.Match(text)
}

var moduleLine = regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(modulePath) + `$`)

// download returns the directory of a version in the module cache.
func download(ctx context.Context, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", modulePath+"@"+version)
	cmd.Dir = os.TempDir()
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := output(cmd)
	if err != nil {
		return "", err
	}
	var m struct{ Dir string }
	if err := json.Unmarshal(out, &m); err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	return m.Dir, nil
}
