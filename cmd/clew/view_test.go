package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/clewtrace/clew/internal/view"
)

func TestView(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := filepath.Join(t.TempDir(), "traces")
	r, w := io.Pipe()
	code := make(chan int)
	var stderr bytes.Buffer
	go func() {
		code <- run(ctx, []string{"view", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0", "-file", file}, stdio{out: w, err: &stderr})
	}()
	printed := make([]byte, 0, 256)
	addresses := regexp.MustCompile(`^Page       (http://127\.0\.0\.1:\d+)\nOTLP/HTTP  (http://127\.0\.0\.1:\d+)\nOTLP/gRPC  (127\.0\.0\.1:\d+)\n$`)
	for !addresses.Match(printed) {
		n, err := r.Read(printed[len(printed):cap(printed)])
		if printed = printed[:len(printed)+n]; err != nil {
			t.Fatal(err, string(printed))
		}
	}
	m := addresses.FindStringSubmatch(string(printed))

	trace := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"sell"}]}]}]}`
	if status := request(t, http.MethodPost, m[2]+"/v1/traces", trace); status != http.StatusOK {
		t.Errorf("OTLP/HTTP: status %d", status)
	}
	if status := request(t, http.MethodGet, m[1]+"/api/traces/5b8efff798038103d269b633813fc60c", ""); status != http.StatusOK {
		t.Errorf("page: status %d", status)
	}
	if status := request(t, http.MethodPost, m[1]+"/v1/traces", trace); status/100 != 4 {
		t.Errorf("the page's address takes telemetry: status %d", status)
	}
	conn, err := grpc.NewClient(m[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing is left to lose
	if _, err := collogs.NewLogsServiceClient(conn).Export(ctx, &collogs.ExportLogsServiceRequest{}); err != nil {
		t.Errorf("OTLP/gRPC: %v", err)
	}
	cancel()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d\n%s", got, &stderr)
	}
	kept := view.NewRing(view.MinBytes)
	journal, _, err := view.OpenJournal(kept, file, nil)
	if err != nil || kept.Stats().Spans != 1 {
		t.Fatalf("the file holds %+v, %v", kept.Stats(), err)
	}
	if err := journal.Close(); err != nil {
		t.Error(err)
	}
}

func TestViewFileErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "traces")
	if err := os.WriteFile(file, []byte("hello, world"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := runWith(t, "", "view", "-file", file); code != 1 || !strings.Contains(stderr, "not a file of clew view") {
		t.Errorf("code %d, %q", code, stderr)
	}
}

func TestViewUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-page", "0.0.0.0:4380"}, "add -expose"},
		{[]string{"-http", ":4318"}, "add -expose"},
		{[]string{"-grpc", "192.0.2.1:4317"}, "add -expose"},
		{[]string{"-page", "nonsense"}, `"nonsense" must be a host and a port`},
		{[]string{"-http", "4318", "-expose"}, `"4318" must be a host and a port`},
		{[]string{"-memory", "10"}, "at least 64MiB"},
		{[]string{"-memory", "63MiB"}, "at least 64MiB"},
		{[]string{"-memory", "10GB"}, "such as 256MiB"},
		{[]string{"-memory", "9999999999GiB"}, "such as 256MiB"},
		{[]string{"-unknown"}, "flag provided but not defined"},
		{[]string{"argument"}, "unexpected argument"},
	} {
		if _, stderr, code := runWith(t, "", append([]string{"view"}, test.args...)...); code != 2 || !strings.Contains(stderr, test.want) {
			t.Errorf("%v: code %d, %q; want %q", test.args, code, stderr, test.want)
		}
	}
	for address, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.9.9.9:1": true, ":1": false, "0.0.0.0:1": false, "[::]:1": false, "example.com:1": false} {
		if got := isLoopback(address); got != want {
			t.Errorf("%s: loopback %v", address, got)
		}
	}
}

// TestHelp checks that the help of each command fits a screen of 80 by 24, and
// lists its flags.
func TestHelp(t *testing.T) {
	for name := range commands() {
		stdout, _, code := runWith(t, "", name, "-h")
		if code != 0 || !strings.HasPrefix(stdout, "Usage: clew "+name) {
			t.Errorf("%s: code %d, %q", name, code, stdout)
		}
		if other, _, code := runWith(t, "", "help", name); code != 0 || other != stdout {
			t.Errorf("help %s: code %d, %q", name, code, other)
		}
		lines := strings.Split(stdout, "\n")
		if len(lines) > 24 {
			t.Errorf("%s: %d lines", name, len(lines))
		}
		for _, line := range lines {
			if len(line) > 80 {
				t.Errorf("%s: line of %d characters: %s", name, len(line), line)
			}
		}
	}
	if got, want := strings.Join(words("view"), " "), "-page -http -grpc -expose -allow-host -cors-origin -memory -file -open"; got != want {
		t.Errorf("flags of view: %s, want %s", got, want)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		stdout, stderr, code := runWith(t, "", "completion", shell)
		if code != 0 || !strings.Contains(stdout, "decode") || !strings.Contains(stdout, "-memory") {
			t.Errorf("%s: code %d, %q %q", shell, code, stdout, stderr)
		}
	}
	if _, _, code := runWith(t, "", "completion", "csh"); code != 2 {
		t.Errorf("csh: code %d", code)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	script, _, _ := runWith(t, "", "completion", "bash")
	for line, want := range map[string]string{"clew d": "decode demo doctor", "clew view -me": "-memory", "clew doctor -t": "-tempo", "clew completion ": "bash zsh fish"} {
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", script+`
IFS=' ' read -ra COMP_WORDS <<<"$1"; [[ $1 == *' ' ]] && COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _clew; echo "${COMPREPLY[*]}"`, "bash", line)
		cmd.WaitDelay = time.Second
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q completes to %q, %v; want %q", line, out, err, want)
		}
	}
}

// TestViewKeepsTracesWhenKilled kills the process right after it answered.
func TestViewKeepsTracesWhenKilled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "traces")
	const path = "/api/traces/5b8efff798038103d269b633813fc60c"
	trace := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"sell"}]}]}]}`

	killed, _, otlp := viewProcess(t, file)
	if status := request(t, http.MethodPost, otlp+"/v1/traces", trace); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := killed.Wait(); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0); err != nil { // a record that was being written
		t.Fatal(err)
	} else if _, err := f.WriteString("t\x10\x00"); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	holder, page, _ := viewProcess(t, file)
	if status := request(t, http.MethodGet, page+path, ""); status != http.StatusOK {
		t.Errorf("after the restart: status %d", status)
	}
	// A second one would write over what the first acknowledged.
	_, stderr, code := runWith(t, "", "view", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "", "-file", file)
	if want := fmt.Sprintf("%s is in use by process %d", file, holder.Pid); code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("a second clew view with the file: code %d, %q; want %q", code, stderr, want)
	}
}

// viewProcess starts clew view with a file.
func viewProcess(t *testing.T, file string) (p *os.Process, page, otlp string) {
	t.Helper()
	p, page, otlp, _ = startViewProcess(t, "-file", file)
	return p, page, otlp
}

// startViewProcess starts clew view as a process that is killed with the test.
func startViewProcess(t *testing.T, args ...string) (p *os.Process, page, otlp, grpc string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append([]string{"view", "-page", "127.0.0.1:0", "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0"}, args...)...)
	cmd.Env = append(os.Environ(), runsMain+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() //nolint:errcheck // it may be gone
		cmd.Wait()         //nolint:errcheck // it was killed
	})
	if _, err := fmt.Fscanf(out, "Page %s\nOTLP/HTTP %s\nOTLP/gRPC %s\n", &page, &otlp, &grpc); err != nil {
		t.Fatal(err)
	}
	return cmd.Process, page, otlp, grpc
}

func request(t *testing.T, method, url, body string) (status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
