package otelsetup_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// patience is far more than [otelsetup.ShutdownTimeout], and far less than what
// the collectors here would have a program wait.
const patience = 60 * time.Second

// process is one of programs, not started.
func process(t *testing.T, program string, env ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(append(os.Environ(), programEnv+"="+program, "OTEL_SERVICE_NAME=program"), env...)
	return cmd
}

// finish runs a process to its end, and returns what it printed.
func finish(t *testing.T, cmd *exec.Cmd) (stdout, stderr string) {
	t.Helper()
	var out, printed bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &printed
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), printed.String()
}

// TestSecondSignalExitsAtOnce interrupts a program that does not return.
func TestSecondSignalExitsAtOnce(t *testing.T) {
	store := &otlpreceiver.Store{}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	cmd := process(t, "is interrupted twice", "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	finish(t, cmd)
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("the program ended with %v, want that the signal killed it", cmd.ProcessState)
	}
}

func TestMainRunsDeferredFunctions(t *testing.T) {
	server := httptest.NewServer((&otlpreceiver.Store{}).Handler())
	defer server.Close()
	for program, code := range map[string]int{
		"defers and returns nil": 0, "defers and returns an error": 1, "defers and panics": 1, "defers and is terminated": 143,
	} {
		t.Run(program, func(t *testing.T) {
			cmd := process(t, program, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
			stdout, _ := finish(t, cmd)
			if stdout != "deferred\n" || cmd.ProcessState.ExitCode() != code {
				t.Errorf("printed %q and exited with %d, want %d", stdout, cmd.ProcessState.ExitCode(), code)
			}
		})
	}
}

// TestExitDoesNotWaitForTheCollector lets every timeout but the one of Main be an
// hour: that the program ends shows that this one holds.
func TestExitDoesNotWaitForTheCollector(t *testing.T) {
	done := make(chan struct{})
	hour := []string{
		"OTEL_EXPORTER_OTLP_TIMEOUT=3600000", "OTEL_BSP_EXPORT_TIMEOUT=3600000",
		"OTEL_BLRP_EXPORT_TIMEOUT=3600000", "OTEL_METRIC_EXPORT_TIMEOUT=3600000",
	}
	serve := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		return server.URL
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	defer func() { t.Cleanup(func() { close(done) }) }() // the handlers end before their servers, and after the parallel tests
	for name, url := range map[string]string{
		"never answers":               serve(func(_ http.ResponseWriter, r *http.Request) { waitFor(r, done) }),
		"stalls in the TLS handshake": "https://" + listener.Addr().String(),
		"asks to come back in an hour": serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusServiceUnavailable)
		}),
		"answers a byte at a time": serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000000")
			for r.Context().Err() == nil {
				w.Write([]byte{0})
				http.NewResponseController(w).Flush() //nolint:errcheck // a test
				select {
				case <-done:
					return
				case <-r.Context().Done():
				case <-time.After(10 * time.Millisecond):
				}
			}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := process(t, "returns nil", append(hour, "OTEL_EXPORTER_OTLP_ENDPOINT="+url)...)
			_, stderr := finish(t, cmd)
			if code := cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit code %d, want the program's own", code)
			}
			// The collector that answers slowly has said 200: it has the spans.
			lost := name != "answers a byte at a time"
			if strings.Contains(stderr, "1 of 1 spans not delivered") != lost {
				t.Errorf("printed %q, want what was lost: %t", stderr, lost)
			}
		})
	}
}

func waitFor(r *http.Request, done <-chan struct{}) {
	select {
	case <-done:
	case <-r.Context().Done():
	}
}

// TestFullDisk has standard output, where the console exporters print, be a file
// on a disk without room.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close() //nolint:errcheck // a test
	cmd := process(t, "returns nil", "OTEL_TRACES_EXPORTER=console", "OTEL_METRICS_EXPORTER=console", "OTEL_LOGS_EXPORTER=none")
	cmd.Stdout = full
	_, stderr := finish(t, cmd)
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want the program's own", code)
	}
	for _, want := range []string{"traces: ", "no space left on device"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("printed %s, want %q", stderr, want)
		}
	}
}
