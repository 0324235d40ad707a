package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/clewtrace/clew/internal/health"
)

// whileParentRuns is the flag of a service that [all] has started: it ends when
// its standard input does, however its parent ended. A signal would not do:
// Ctrl-C reaches parent and child, and a second one ends the child at once.
const whileParentRuns = "while-parent-runs"

func untilInputEnds(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with the program
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return ctx
}

const (
	startTimeout = 15 * time.Second // until a service is healthy
	stopTimeout  = 10 * time.Second // until it has ended
)

// all runs every service as a process of its own until a signal comes, or one of
// them ends. It returns the exit code.
func all(args []string) int {
	flags := flag.NewFlagSet("shop all", flag.ExitOnError)
	port := flags.Int("port", 8001, "`port` of the checkout; the other services have the ones after it")
	rate := flags.String("rate", "2", "`visits` per second")
	every := flags.String("swing", "0", "`time` after which the rate doubles, then falls back, halves, and rises again; 0 keeps it")
	_ = flags.Parse(args) // exits

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runAll(ctx, *port, *rate, *every); ctx.Err() == nil { // no signal
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runAll starts what is called before what calls it, and ends it after that.
func runAll(ctx context.Context, port int, rate, every string) error {
	addr := func(n int) string { return net.JoinHostPort("localhost", strconv.Itoa(port+n)) }
	url := func(n int) string { return "http://" + addr(n) }
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	for _, s := range []struct {
		name  string
		port  int
		fault string
		args  []string
	}{
		{"inventory", 1, "slow=0.03,delay=300ms", nil},
		{"payment", 2, "errors=0.02,slow=0.05,delay=800ms", nil},
		{"worker", 3, "errors=0.02", nil},
		{"checkout", 0, "", []string{"-inventory", url(1), "-payment", url(2), "-worker", url(3)}},
		{"load", 4, "", []string{"-checkout", url(0), "-rate", rate, "-swing", every}},
	} {
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		wait, err := start(running, s.name, s.fault, append([]string{s.name, "-" + whileParentRuns, "-addr", addr(s.port)}, s.args...))
		if err != nil {
			stop()
			return err
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			fail(fmt.Errorf("%s has ended: %s", s.name, wait()))
		}()
		defer func() { stop(); <-ended }()
		if err := awaitHealth(ctx, url(s.port)); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// start runs a service as a process that ends with ctx. The function that it
// returns waits until it has, and says how.
func start(ctx context.Context, name, fault string, args []string) (wait func() string, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "OTEL_SERVICE_NAME="+name)
	if os.Getenv(faultVariable) == "" {
		cmd.Env = append(cmd.Env, faultVariable+"="+fault)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	cmd.Cancel, cmd.WaitDelay = stdin.Close, stopTimeout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return func() string {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintf(os.Stderr, "%-9s  %s\n", name, lines.Text())
		}
		_ = cmd.Wait() // the state tells
		return cmd.ProcessState.String()
	}, nil
}

// awaitHealth returns when the service is healthy.
func awaitHealth(ctx context.Context, url string) error {
	deadline, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := health.Check(deadline, url)
		if err == nil {
			return nil
		}
		if pause(deadline, 50*time.Millisecond) != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return err
		}
	}
}
