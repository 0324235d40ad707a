package main

import (
	"bytes"
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// runsMain makes the test binary the command itself.
const runsMain = "TEST_RUNS_CLEW"

func TestMain(m *testing.M) {
	if os.Getenv(runsMain) != "" {
		os.Unsetenv(runsMain)
		main()
	}
	flag.Set("test.parallel", "8") //nolint:errcheck // they mostly wait for processes
	goleak.VerifyTestMain(m)
}

// cancelOn cancels a context when text is written.
type cancelOn struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (c *cancelOn) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(c.text)) {
		c.cancel()
	}
	return c.Buffer.Write(p)
}

func TestDemo(t *testing.T) {
	spool := t.TempDir()
	t.Setenv("OTEL_TRACES_EXPORTER", "none") // the demo's processes do not take it over
	t.Setenv("CLEW_DELIVERY_SPOOL_DIR", spool)
	t.Setenv(runsMain, "true")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"demo"}, stdio{out: &stdout, err: &stderr}); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, &stdout, &stderr)
	}
	for _, line := range []string{
		`(?m)^trace [0-9a-f]{32}: 4 spans, 2 services, [0-9.]+ms$`,
		`(?m)^client  call-api +INTERNAL +[0-9.]+ms  █+·*  unset$`,
		`(?m)^│  • received_response status=200 timestamp=\d+$`,
		`(?m)^│  INFO Client: Starting API call$`,
		`(?m)^│  INFO Client: Received response: {"message":"Hello from server!"}$`,
		`(?m)^└─ client  GET +CLIENT`,
		`(?m)^   │  http.request.method=GET url.full=http://127.0.0.1:\d+/ http.response.status_code=200$`,
		`(?m)^   └─ server  GET +SERVER`,
		`(?m)^      └─ server  GET / +INTERNAL`,
		`(?m)^            http.route=/$`,
		`(?m)^            • processing_request request_id=[A-Z2-7]{26} timestamp=\d+$`,
		`(?m)^            INFO Server: Processing request in trace context$`,
	} {
		if !regexp.MustCompile(line).Match(stdout.Bytes()) {
			t.Errorf("no line %s in\n%s", line, &stdout)
		}
	}
	if files, err := os.ReadDir(spool); err != nil || len(files) > 0 {
		t.Errorf("in the spool of another program: %v, %v", files, err)
	}
}

func TestDemoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var stderr bytes.Buffer
	if code := run(ctx, []string{"demo"}, stdio{out: &cancelOn{text: "Running", cancel: cancel}, err: &stderr}); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, &stderr)
	}
}

// TestPairInterrupted ends the context while both programs run, and looks for
// processes that are left behind.
func TestPairInterrupted(t *testing.T) {
	t.Setenv(runsMain, "true")
	ctx, cancel := context.WithCancel(t.Context())
	// The client sends what it recorded before it ends; the server runs then.
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }))
	defer collector.Close()
	if err := runPair(ctx, collector.URL); ctx.Err() == nil {
		t.Fatalf("nothing was sent: %v", err)
	}
	if left, err := exec.CommandContext(t.Context(), "pgrep", "-P", strconv.Itoa(os.Getpid())).Output(); err == nil {
		t.Errorf("left behind: processes %s", strings.Fields(string(left)))
	}
}

func TestUsage(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"dmeo"}, stdio{out: &stdout, err: &stderr}); code != 2 || !strings.Contains(stderr.String(), "clew <command>") || !strings.Contains(stderr.String(), `no command "dmeo"`) {
		t.Errorf("exit code %d, %q", code, &stderr)
	}
	if code := run(t.Context(), []string{"--help"}, stdio{out: &stdout, err: &stderr}); code != 0 || !strings.Contains(stdout.String(), "demo") {
		t.Errorf("exit code %d, %q", code, &stdout)
	}
}

// TestBuildsWithoutTheGRPCModule: it would add a sixth to what `go run ./cmd/clew demo`
// compiles. Only its codes are used.
func TestBuildsWithoutTheGRPCModule(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range strings.Lines(string(out)) {
		switch strings.TrimSpace(pkg) {
		case "google.golang.org/grpc", "golang.org/x/net/http2", "github.com/grpc-ecosystem/grpc-gateway/v2/runtime":
			t.Errorf("it links %s", pkg)
		}
	}
}
