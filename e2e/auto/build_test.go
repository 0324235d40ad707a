package auto_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// clewCommand is the command, built once.
var clewCommand = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "clew-e2e-auto-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "clew")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/clew") //nolint:noctx // ends by itself
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return path, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := clewCommand(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// clew is a "clew" command in dir.
func clew(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := clewCommand()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	return cmd
}

// output runs a command that has to succeed.
func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// failure runs a command that has to fail with exit code 1, and returns what it
// says.
func failure(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("%s: %v, want exit code 1\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// module copies a program of testdata into a module of its own.
func module(t *testing.T, program string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", program))); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		write(t, filepath.Join(dir, "go.mod"), "module plain.example/"+program+"\n\ngo 1.25\n")
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// build builds the program in dir by "clew go build", and returns its path.
func build(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := clew(t, dir, slices.Concat([]string{"go", "build", "-o", path}, flags)...)
	cmd.Env = append(os.Environ(), "GOGC=400") // the compiler takes a tenth less time
	output(t, cmd)
	return path
}

// buildPlain builds it by plain go.
func buildPlain(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain")
	cmd := exec.CommandContext(t.Context(), "go", slices.Concat([]string{"build", "-o", path}, flags)...)
	cmd.Dir = dir
	output(t, cmd)
	return path
}

// collector receives what programs send.
type collector struct {
	otlpreceiver.Store
	env []string // of a program that sends here
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	srv := httptest.NewServer(c.Handler())
	t.Cleanup(srv.Close)
	c.env = []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + srv.URL, "OTEL_METRICS_EXPORTER=none", "CLEW_AUTO_EXIT_TIMEOUT=30000",
		"OTEL_BSP_MAX_QUEUE_SIZE=100000",
	}
	return c
}

// start starts a program that sends to c.
func (c *collector) start(t *testing.T, path string, args []string, env ...string) *process.Process {
	t.Helper()
	return process.Start(t, path, args, append(slices.Clone(c.env), env...))
}
