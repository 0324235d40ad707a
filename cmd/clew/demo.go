package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/cmd/clew/internal/demo"
	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/view"
)

const (
	startTimeout = 30 * time.Second // for the server to listen
	stopTimeout  = 10 * time.Second // for a process to flush and end
)

// showTrace runs the example server and client as processes that export to a
// receiver in this one, and prints the trace they make together.
func showTrace(ctx context.Context, out io.Writer) error {
	var store otlpreceiver.Store
	return demoInto(ctx, out, &store, &store)
}

// showOnPage does what showTrace does, and also shows the trace on a page until ctx
// ends.
func showOnPage(ctx context.Context, out io.Writer) error {
	v, err := startView(ctx, viewConfig{page: "127.0.0.1:0", memory: view.MinBytes}, io.Discard)
	if err != nil {
		return err
	}
	defer v.stop() //nolint:errcheck // it keeps no file
	fmt.Fprintln(out, "Page", v.pageURL)
	openBrowser(ctx, v.pageURL, out)
	var store otlpreceiver.Store
	if err := demoInto(ctx, out, &store, teeSink{&store, v.ring}); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe trace is on %s until you press Ctrl-C.\n", v.pageURL)
	<-ctx.Done()
	return nil
}

// teeSink hands what is received to two sinks, which only read it.
type teeSink [2]otlpreceiver.Sink

func (b teeSink) AddTraces(req *tracepb.TracesData) {
	b[0].AddTraces(req)
	b[1].AddTraces(req)
}

func (b teeSink) AddLogs(req *logspb.LogsData) {
	b[0].AddLogs(req)
	b[1].AddLogs(req)
}

func (b teeSink) AddMetrics(req *metricspb.MetricsData) {
	b[0].AddMetrics(req)
	b[1].AddMetrics(req)
}

// demoInto runs the server and the client with sink as their receiver, and then reports
// the trace in store.
func demoInto(ctx context.Context, out io.Writer, store *otlpreceiver.Store, sink otlpreceiver.Sink) error {
	fmt.Fprintln(out, "Running examples/server and examples/client ...")
	endpoint, stop, err := receive(ctx, sink)
	if err != nil {
		return err
	}
	defer stop()
	if err := runPair(ctx, endpoint); err != nil {
		return err
	}
	return report(out, store)
}

// receive starts an OTLP/HTTP receiver on a free loopback port.
func receive(ctx context.Context, sink otlpreceiver.Sink) (endpoint string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: otlpreceiver.Handler(sink), ReadHeaderTimeout: stopTimeout}
	go server.Serve(listener) //nolint:errcheck // ends with ErrServerClosed
	return "http://" + listener.Addr().String(), func() { server.Close() }, nil
}

// runPair starts the server, runs the client once against it, and stops the server.
// When it returns, both have exported everything they recorded.
func runPair(ctx context.Context, endpoint string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := service(ctx, self, demo.Server, endpoint, "-addr", "127.0.0.1:0")
	ready := newAddressWatcher()
	server.Stderr = ready
	if err := server.Start(); err != nil {
		return err
	}
	var serverErr error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		serverErr = server.Wait()
	}()

	var url string
	select {
	case url = <-ready.url:
	case <-ended:
		return fmt.Errorf("the server ended before it listened: %w\n%s", serverErr, ready)
	case <-time.After(startTimeout):
		cancel()
		<-ended
		return fmt.Errorf("the server does not listen after %v\n%s", startTimeout, ready)
	case <-ctx.Done():
		<-ended
		return context.Cause(ctx)
	}

	output, clientErr := service(ctx, self, demo.Client, endpoint, "-url", url).CombinedOutput()
	cancel()
	<-ended
	if clientErr != nil {
		return fmt.Errorf("the client failed: %w\n%s", clientErr, output)
	}
	if code := server.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server failed: %w\n%s", serverErr, ready)
	}
	return nil
}

// service returns the command of one of the example programs, which this program
// becomes when it is started with these arguments. The environment has no OTEL_*
// variables of this process, because they would send the telemetry elsewhere. When ctx
// ends, the program is asked to stop, and is killed if it does not.
func service(ctx context.Context, self, name, endpoint string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, self, demo.Args(name, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OTEL_") })
	cmd.Env = append(cmd.Env, "OTEL_SERVICE_NAME="+name, "OTEL_EXPORTER_OTLP_ENDPOINT="+endpoint)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	return cmd
}

// addressWatcher keeps the output of a server and finds the URL in it.
type addressWatcher struct {
	url chan string

	mu     sync.Mutex
	found  bool
	output bytes.Buffer
}

func newAddressWatcher() *addressWatcher { return &addressWatcher{url: make(chan string, 1)} }

var listening = regexp.MustCompile(`Listening on (http://[0-9.:]+/)`)

func (a *addressWatcher) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.output.Write(p)
	if m := listening.FindSubmatch(a.output.Bytes()); m != nil && !a.found {
		a.found = true
		a.url <- string(m[1])
	}
	return len(p), nil
}

func (a *addressWatcher) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.output.String()
}

// report prints the trace. The error says what is missing from it.
func report(out io.Writer, store *otlpreceiver.Store) error {
	spans, logs := store.Spans(), store.Logs()
	traces := newTraces(spans, logs)
	for _, t := range traces {
		fmt.Fprintln(out)
		t.print(out)
	}
	if len(traces) != 1 {
		return fmt.Errorf("expected one trace, got %d", len(traces))
	}
	return incomplete(traces[0])
}

// incomplete compares the trace with what the two programs should have made.
func incomplete(t *traceTree) error {
	expected := []struct {
		service, name string
		logs          []string
	}{
		{"client", "call-api", []string{"Client: Starting API call", `Client: Received response: {"message":"Hello from server!"}`}},
		{"client", "GET", nil},
		{"server", "GET", nil},
		{"server", "GET /", []string{"Server: Processing request in trace context"}},
	}
	var errs []error
	nodes := t.roots
	for _, e := range expected {
		if len(nodes) != 1 {
			return fmt.Errorf("expected one span %s %q here, got %d", e.service, e.name, len(nodes))
		}
		n := nodes[0]
		if n.span.Service() != e.service || n.span.GetName() != e.name {
			errs = append(errs, fmt.Errorf("expected span %s %q, got %s %q", e.service, e.name, n.span.Service(), n.span.GetName()))
		}
		var bodies []string
		for _, l := range n.logs {
			bodies = append(bodies, l.GetBody().GetStringValue())
		}
		if !slices.Equal(bodies, e.logs) {
			errs = append(errs, fmt.Errorf("span %s %q: expected log lines %q, got %q", e.service, e.name, e.logs, bodies))
		}
		nodes = n.children
	}
	if len(nodes) > 0 {
		errs = append(errs, fmt.Errorf("unexpected span %q", nodes[0].span.GetName()))
	}
	return errors.Join(errs...)
}
