package e2e_test

import (
	"errors"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// exitLimit bounds an exit: 5 s for the flush, the rest for everything else.
const exitLimit = 6 * time.Second

// examples are the two programs of the tutorial.
type examples struct{ server, client string }

func buildExamples(t *testing.T) examples {
	t.Helper()
	return examples{
		server: process.Build(t, "..", "./examples/server"),
		client: process.Build(t, "..", "./examples/client"),
	}
}

// listening is what the server logs when it is ready.
var listening = regexp.MustCompile(`Listening on (http://[^\s"]+)`)

// startServer returns the running server and its URL.
func (e examples) startServer(t *testing.T, env ...string) (p *process.Process, url string) {
	t.Helper()
	p = process.Start(t, e.server, []string{"-addr", "127.0.0.1:0"}, append(env, "OTEL_SERVICE_NAME=server"))
	process.Eventually(t, 10*time.Second, func() error {
		match := listening.FindStringSubmatch(p.Stderr())
		if match == nil {
			return errors.New("server does not say where it listens")
		}
		url = match[1]
		return nil
	})
	return p, url
}

func (e examples) startClient(t *testing.T, url string, env ...string) *process.Process {
	t.Helper()
	return process.Start(t, e.client, []string{"-url", url}, append(env, "OTEL_SERVICE_NAME=client"))
}

// exportTo is the variable that names the collector.
func exportTo(collector string) string { return "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector }

// terminate stops a program as a container runtime does.
func terminate(t *testing.T, p *process.Process) {
	t.Helper()
	p.Signal(t, syscall.SIGTERM)
	if code := p.Wait(t, exitLimit); code != 0 {
		t.Errorf("exit code after SIGTERM is %d, want 0: a graceful end", code)
	}
}

// runTutorial runs server and client for one request. It returns the server's
// URL when both have ended, and so flushed.
func (e examples) runTutorial(t *testing.T, env ...string) (url string) {
	t.Helper()
	server, url := e.startServer(t, env...)
	client := e.startClient(t, url, env...)
	if code := client.Wait(t, 15*time.Second); code != 0 {
		t.Errorf("client exits with %d", code)
	}
	terminate(t, server)
	return url
}
