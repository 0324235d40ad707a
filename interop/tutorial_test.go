package interop_test

import (
	"context"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestTutorial runs the tutorial's two programs, one of them in Deno and the
// other in Go, each as a process, both exporting to one store.
func TestTutorial(t *testing.T) {
	denos := make(map[string]deno)
	for _, version := range denoVersions {
		denos[version] = installDeno(t, version)
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+string(filepath.Separator), "./examples/server", "./examples/client")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, version := range denoVersions {
		d := denos[version]
		t.Run("client in Deno "+version, func(t *testing.T) {
			store, endpoint := newStore(t)
			stop, url := startGoServer(t, filepath.Join(bin, "server"), endpoint)
			run(t, d.command(t, endpoint, "client", []string{"client.ts", url}, nil))
			stop()
			checkTutorial(t, store)
		})
		t.Run("server in Deno "+version, func(t *testing.T) {
			store, endpoint := newStore(t)
			url := firstLine(t, d.command(t, endpoint, "server", []string{"server.ts"}, nil))
			run(t, goCommand(t, filepath.Join(bin, "client"), endpoint, "client", "-url", url))
			eventually(t, func() bool { return len(store.Spans()) >= 4 && len(store.Logs()) >= 3 })
			checkTutorial(t, store)
		})
	}
}

func newStore(t *testing.T) (store *otlpreceiver.Store, url string) {
	t.Helper()
	store = new(otlpreceiver.Store)
	receiver := httptest.NewServer(store.Handler())
	t.Cleanup(receiver.Close)
	return store, receiver.URL
}

func goCommand(t *testing.T, program, store, service string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	cmd.Env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + store, "OTEL_SERVICE_NAME=" + service, "OTEL_LOGS_EXPORTER=otlp,console"}
	return cmd
}

func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
}

var listening = regexp.MustCompile(`Listening on (http://[^"\s]+)`)

// startGoServer returns the server's URL and what stops it; that flushes.
func startGoServer(t *testing.T, program, store string) (stop func(), url string) {
	t.Helper()
	cmd := goCommand(t, program, store, "server", "-addr", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		if cmd.ProcessState != nil {
			return
		}
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended by itself
		_, _ = io.Copy(io.Discard, stderr)
		_ = cmd.Wait() // it ends by the signal
	}
	t.Cleanup(stop)
	var printed strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := stderr.Read(buf)
		printed.Write(buf[:n])
		if m := listening.FindStringSubmatch(printed.String()); m != nil {
			return stop, m[1]
		}
		if err != nil {
			t.Fatalf("%s ended: %s", program, &printed)
		}
	}
}

// checkTutorial checks that there is one trace of four spans, each the child of
// the one before, and that the log records of both programs belong to it.
func checkTutorial(t *testing.T, store *otlpreceiver.Store) {
	t.Helper()
	spans := store.Spans()
	var chain []string
	parent, scope := "", map[string]string{}
	for range spans {
		i := slices.IndexFunc(spans, func(s span) bool { return hexID(s.GetParentSpanId()) == parent })
		if i < 0 {
			break
		}
		s := spans[i]
		if hexID(s.GetTraceId()) != hexID(spans[0].GetTraceId()) {
			t.Errorf("%s is in another trace", s.GetName())
		}
		name, _, _ := strings.Cut(s.GetName(), " /")
		kind := strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")
		chain = append(chain, s.Service()+" "+name+" "+kind)
		parent = hexID(s.GetSpanId())
		scope[parent] = s.Scope.GetName()
	}
	want := []string{"client call-api INTERNAL", "client GET CLIENT", "server GET SERVER", "server GET INTERNAL"}
	if !slices.Equal(chain, want) || len(spans) != len(want) {
		t.Errorf("spans from the root on: %q of %d, want %q", chain, len(spans), want)
	}

	logs := map[string]string{}
	for _, l := range store.Logs() {
		if text := bodyOf(l.GetBody()); !strings.HasPrefix(text, "Listening") {
			logs[strings.SplitN(text, ": {", 2)[0]] = scope[hexID(l.GetSpanId())]
		}
	}
	for text, where := range map[string]string{
		"Client: Starting API call": "api-client", "Client: Received response": "api-client",
		"Server: Processing request in trace context": "api-server",
	} {
		if logs[text] != where {
			t.Errorf("%q was logged in a span of %q, want %q (all: %q)", text, logs[text], where, logs)
		}
	}
}

func bodyOf(v *commonpb.AnyValue) string { return strings.TrimSpace(v.GetStringValue()) }
