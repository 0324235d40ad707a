// Package process runs programs on behalf of a test and ends them with it.
package process

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// killDelay is how long a program may take to end after SIGTERM before it is killed.
const killDelay = 10 * time.Second

// Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	name           string
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// Start runs the program at path. It inherits none of the test's environment
// but what a program needs to find its files, so that OTEL_* variables of the
// person who runs the test have no effect; env is added to that.
//
// The program is ended, at first by SIGTERM, when the test ends, and in time
// for that when the test is about to run into its deadline.
func Start(t *testing.T, path string, args, env []string) *Process {
	t.Helper()
	ctx, cancel := t.Context(), context.CancelFunc(func() {})
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-2*killDelay))
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	cmd.Env = append(baseEnv(), env...)
	p := &Process{name: filepath.Base(path), cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatalf("start %s: %v", p.name, err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // read from ProcessState
	}()
	t.Cleanup(func() {
		cancel()
		<-p.exited
		if t.Failed() {
			t.Logf("%s (%v)\nstdout:\n%s\nstderr:\n%s", p.name, cmd.ProcessState, p.Stdout(), p.Stderr())
		}
	})
	return p
}

func baseEnv() []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// Signal sends sig to the program.
func (p *Process) Signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %s: %v", p.name, err)
	}
}

// Exited is closed when the program has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Wait returns the exit code, -1 after a signal, and fails the test when the
// program is still running after limit.
func (p *Process) Wait(t *testing.T, limit time.Duration) int {
	t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-timeout.C:
		t.Fatalf("%s is still running %v later", p.name, limit)
		return 0
	}
}

// Usage returns the processor time that the program has used, and the most
// memory in bytes that it had at a time. It must have ended.
func (p *Process) Usage() (processor time.Duration, memory int64) {
	state := p.cmd.ProcessState
	processor = state.UserTime() + state.SystemTime()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		memory = usage.Maxrss * 1024 // on Linux
	}
	return processor, memory
}

// Stdout returns what the program has written to standard output so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns what the program has written to standard error so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// output is a buffer that can be read while the program writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Build compiles the main package pkg, as seen from dir, and returns the
// program's path, which is removed with the test.
func Build(t *testing.T, dir, pkg string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}

// Eventually calls try until it returns nil. It fails the test with the last
// error when that takes longer than limit.
func Eventually(t *testing.T, limit time.Duration, try func() error) {
	t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("after %v: %v", limit, err)
		}
	}
}

// FreeAddrs returns n different loopback addresses on which nothing listens.
// Another program may take one before it is used.
func FreeAddrs(t *testing.T, n int) []string {
	t.Helper()
	addrs := make([]string, n)
	var config net.ListenConfig
	for i := range addrs {
		l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // not before all are found
		addrs[i] = l.Addr().String()
	}
	return addrs
}
