package conformance

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/internal/workload"
)

var discardLog = log.New(io.Discard, "", 0)

// row is one line of the table.
type row struct {
	variable, value string   // {url}, {ca}, {cert} and {key} are filled in
	with            []string // other variables, NAME=value
	secure          bool     // the collector serves TLS
	own             string   // a path that stands for /v1/traces
	stall           string   // a path that does not answer before the sender gives up or the program is done
	hold            string   // keep the program running until this: a path; "any" one; any one "twice"; "abandoned"; "done"; "said"
	say             string   // what the program prints when it has "said" it
	spans           string   // a number of further spans
	file            string   // what {config} holds
	note            string   // what the other variables do here
	contrib         bool     // the program must import a package of the module contrib
	look            func(*outcome) string
	want            string
	stock           string // what is as good, of programs that log in another way
}

// outcome is what came of a run.
type outcome struct {
	*collector
	code           int
	stdout, stderr string
	target         http.Header // the request that the program sent
	first          string      // the path of the request that arrived first
}

// patience bounds what a test waits for. It only matters when one fails, and is
// below the default of every interval that a row shortens.
const patience = 20 * time.Second

func (r row) run(t *testing.T) *outcome {
	t.Helper()
	out := &outcome{collector: newCollector()}
	out.stall, out.own = r.stall, r.own
	url, grpcAddr, f := out.serve(t, r.secure)
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) { out.target = req.Header }))
	defer target.Close()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary())
	fill := strings.NewReplacer("{url}", url, "{host}", strings.TrimPrefix(url, "http://"), "{ca}", f.ca, "{cert}", f.cert, "{key}", f.key,
		"{grpc}", grpcAddr, "{rules}", f.rules, "{port}", freePort(t), "{config}", f.config, "{socket}", f.socket)
	if r.file != "" {
		if err := os.WriteFile(f.config, []byte(fill.Replace(r.file)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Env = append(environment(), workload.TargetEnv+"="+target.URL, workload.SpansEnv+"="+r.spans, "OTEL_EXPORTER_OTLP_ENDPOINT="+url)
	for _, v := range append([]string{r.variable + "=" + r.value}, r.with...) {
		cmd.Env = append(cmd.Env, fill.Replace(v))
	}
	var stdout bytes.Buffer
	stderr := printout{text: r.say, said: make(chan struct{})}
	cmd.Stderr = &stderr
	if r.hold == "" {
		cmd.Stdout = &stdout
		finish(t, cmd.Run())
	} else {
		cmd.Env = append(cmd.Env, workload.HoldEnv+"=true")
		r.runHeld(t, cmd, out, stderr.said)
	}
	out.code, out.stdout, out.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	if requests := out.requests; len(requests) > 0 {
		out.first = requests[0].path
	}
	return out
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
}

// runHeld keeps the program running until what the row waits for has happened.
func (r row) runHeld(t *testing.T, cmd *exec.Cmd, out *outcome, said <-chan struct{}) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil && *programFile == "" {
		t.Error(err) // of another program it is a result
	}
	seen := map[string]int{}
	timeout := time.After(patience / 4)
	for waiting := r.hold != "done"; waiting; {
		select {
		case path := <-out.arrived:
			seen[path]++
			waiting = path != r.hold && r.hold != "any" && (r.hold != "twice" || seen[path] < 2)
		case <-out.abandoned:
			waiting = r.hold != "abandoned"
		case <-said:
			waiting, said = r.hold != "said", nil
		case <-timeout:
			waiting = false
		}
	}
	close(out.unstall)
	stdin.Close()
	finish(t, cmd.Wait())
}

// printout is what a program prints, and whether text is in it.
type printout struct {
	strings.Builder
	text string
	said chan struct{} // closed when it is
}

func (p *printout) Write(b []byte) (int, error) {
	before := strings.Contains(p.String(), p.text)
	n, err := p.Builder.Write(b)
	if !before && strings.Contains(p.String(), p.text) {
		close(p.said)
	}
	return n, err
}

// finish lets a program exit with any code.
func finish(t *testing.T, err error) {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
}
