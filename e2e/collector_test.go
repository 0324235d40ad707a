package e2e_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// TestProgramsOutliveCollector runs the examples where nobody takes their
// telemetry: they do their work, exit in time and say so in a line or two.
func TestProgramsOutliveCollector(t *testing.T) {
	programs := buildExamples(t)
	// Often enough to fill the output with the failures, were each one told.
	const often = "20"
	intervals := []string{"OTEL_BSP_SCHEDULE_DELAY=" + often, "OTEL_BLRP_SCHEDULE_DELAY=" + often, "OTEL_METRIC_EXPORT_INTERVAL=" + often}
	for name, collector := range map[string]string{
		"no collector runs":                   "http://127.0.0.1:1",
		"collector refuses for good":          answering(t, http.StatusForbidden),
		"collector refuses for now":           answering(t, http.StatusServiceUnavailable),
		"collector accepts and never answers": silent(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of each is waiting
			env := append([]string{exportTo(collector)}, intervals...)
			server, url := programs.startServer(t, env...)
			client := programs.startClient(t, url, env...)
			// From start to exit, which is more than the exit alone.
			if code := client.Wait(t, exitLimit); code != 0 {
				t.Errorf("client exits with %d", code)
			}
			if !strings.Contains(client.Stderr(), "Client: Received response: ") {
				t.Errorf("client does not say what it received:\n%s", client.Stderr())
			}
			if status := get(t, url); status != http.StatusOK {
				t.Errorf("server answers %d", status)
			}
			terminate(t, server)
			for _, p := range []*process.Process{client, server} {
				if lines := complaints(p); len(lines) == 0 || len(lines) > 2 {
					t.Errorf("%d lines about lost telemetry, want 1 or 2:\n%s", len(lines), p.Stderr())
				}
			}
		})
	}
}

func get(t *testing.T, url string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// answering starts a collector that refuses everything with a status code.
func answering(t *testing.T, status int) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	t.Cleanup(s.Close)
	return s.URL
}

// silent starts a collector that accepts connections and never writes to them.
func silent(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conns []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				break
			}
			conns = append(conns, c)
		}
		for _, c := range conns {
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// complaints returns the lines of a program's output that are not its own log.
func complaints(p *process.Process) []string {
	var lines []string
	for line := range strings.Lines(p.Stdout() + p.Stderr()) {
		if !strings.Contains(line, "level=INFO") {
			lines = append(lines, line)
		}
	}
	return lines
}
