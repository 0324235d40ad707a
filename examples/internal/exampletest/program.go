// Package exampletest runs the programs of examples/ for their tests, as
// processes that export to a receiver in the test.
package exampletest

import (
	"bytes"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// limit bounds each wait for a program.
const limit = 20 * time.Second

// asProgram is a variable that makes the test binary run the program.
const asProgram = "CLEW_EXAMPLE_RUN"

// Main is what TestMain of an example calls, with the example's main function.
// It runs the tests, or the program if [Collector.Start] has started the test
// binary under the name that [Path] returns. So go test builds the program, once,
// with the race detector if that is asked for, and a cached test result is never
// older than the program.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// Path returns the path of the program that the test belongs to, a file with the
// name of its folder.
func Path(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(folder))
	if err := os.Symlink(binary, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// Collector receives what the programs export.
type Collector struct {
	otlpreceiver.Store
	URL string // for OTEL_EXPORTER_OTLP_ENDPOINT
}

// NewCollector starts a collector that stops with the test.
func NewCollector(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(c.Handler())
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Program is a running program. What it recorded has reached the collector when
// it has ended.
type Program struct {
	service string
	cmd     *exec.Cmd
	stdout  output
	stderr  output
	exited  chan struct{}
}

// Start runs the program at path as the service of that name. Of the test's
// environment it inherits no OTEL_* variable; variables for it alone stand in
// front of args, as NAME=value. It is ended, by SIGTERM, when the test ends.
func (c *Collector) Start(t *testing.T, path, service string, args ...string) *Program {
	t.Helper()
	env := []string{"PATH=" + os.Getenv("PATH"), "OTEL_SERVICE_NAME=" + service,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL, asProgram + "=1"}
	for len(args) > 0 && variable.MatchString(args[0]) {
		env, args = append(env, args[0]), args[1:]
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = limit
	cmd.Env = env
	p := &Program{service: service, cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", service, err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // read from ProcessState
	}()
	t.Cleanup(func() {
		<-p.exited
		if t.Failed() {
			t.Logf("%s %q (%v)\nstdout:\n%s\nstderr:\n%s", service, args, cmd.ProcessState, p.Stdout(), p.Stderr())
		}
	})
	return p
}

var variable = regexp.MustCompile(`^[A-Z_]+=`)

// URL waits until the program logs where it listens.
func (p *Program) URL(t *testing.T) string {
	t.Helper()
	return p.AwaitLog(t, `Listening on ([a-z]+://[^\s"/]+)`)[1]
}

// AwaitLog waits until the program has logged what the regular expression
// matches, and returns the match and its groups.
func (p *Program) AwaitLog(t *testing.T, pattern string) []string {
	t.Helper()
	want := regexp.MustCompile(pattern)
	timeout := time.After(limit)
	for {
		text, changed := p.stderr.state()
		if match := want.FindStringSubmatch(text); match != nil {
			return match
		}
		select {
		case <-changed:
		case <-p.exited:
			if !want.MatchString(p.Stderr()) {
				t.Fatalf("%s ended and has not logged %q", p.service, pattern)
			}
		case <-timeout:
			t.Fatalf("%s has not logged %q", p.service, pattern)
		}
	}
}

// Wait waits until the program has ended by itself, with that exit code.
func (p *Program) Wait(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.exited:
		if got := p.cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s exits with %d, want %d", p.service, got, code)
		}
	case <-time.After(limit):
		t.Fatalf("%s still runs", p.service)
	}
}

// Stop ends the program by SIGTERM, as a container runtime does: a graceful end,
// so that it exits with 0.
func (p *Program) Stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("signal %s: %v", p.service, err)
	}
	p.Wait(t, 0)
}

// Kill ends the program at once: what it has not exported by now is lost.
func (p *Program) Kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill %s: %v", p.service, err)
	}
	p.Wait(t, -1)
}

// Stdout returns what the program has written to standard output so far.
func (p *Program) Stdout() string { return p.stdout.String() }

// Stderr returns what the program has written to standard error so far: its log.
func (p *Program) Stderr() string { return p.stderr.String() }

// LogLines returns the lines of the program's log that contain text.
func (p *Program) LogLines(text string) []string {
	var found []string
	for line := range strings.Lines(p.Stderr()) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

// output is a buffer that can be read while the program writes.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed by the next Write, if somebody waits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.buf.Write(p)
}

// state returns the text so far, and what is closed when it grows.
func (o *output) state() (text string, changed <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return o.buf.String(), o.changed
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
