package interop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// record is what one service saw of a request.
type record struct {
	Received http.Header // as it was on the wire, names in canonical form
	TraceID  string      // by the service's own library, lower-case hexadecimal
	SpanID   string      // of the server span
	ParentID string      // of the server span; empty for a root
	Sampled  bool
}

// routeHeader lists the URLs that a request is yet to visit, with commas between.
const routeHeader = "Interop-Route"

// library is a tracing library as a service uses it.
type library struct {
	wrap      func(http.Handler) http.Handler
	transport http.RoundTripper
	// view fills in what the library says about the server span in ctx.
	view func(ctx context.Context, r *record)
	// ended fills in what it says only after the span has ended. It may be nil.
	ended func(r *record)
}

// handler serves a request, and sends one with the library's client to the
// next URL of the route. It answers with the records of all services from here
// on, once its own span has ended.
func (l library) handler() http.Handler {
	type resultKey struct{}
	type result struct {
		own   record
		after []record
		err   error
	}
	traced := l.wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		res, _ := r.Context().Value(resultKey{}).(*result)
		l.view(r.Context(), &res.own)
		res.after, res.err = visit(r.Context(), &http.Client{Transport: l.transport}, r.Header.Get(routeHeader))
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res := result{own: record{Received: r.Header.Clone()}}
		traced.ServeHTTP(discard{http.Header{}}, r.WithContext(context.WithValue(r.Context(), resultKey{}, &res)))
		if l.ended != nil {
			l.ended(&res.own)
		}
		answer(w, append([]record{res.own}, res.after...), res.err)
	})
}

// discard takes the response of the traced handler, which is empty.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func answer(w http.ResponseWriter, records []record, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	if err := json.NewEncoder(w).Encode(records); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// endpoint is a service without tracing.
func endpoint() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(w, []record{{Received: r.Header.Clone()}}, nil)
	})
}

// visit sends a request along the route and returns the records of those who
// were visited. header holds names and values in turn.
func visit(ctx context.Context, client *http.Client, route string, header ...string) ([]record, error) {
	url, rest, _ := strings.Cut(route, ",")
	if url == "" {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	req.Header.Set(routeHeader, rest)
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	var records []record
	return records, json.Unmarshal(body, &records)
}

// serviceEnv makes the test binary run as the service that it names: most
// libraries have global state and are configured once per process.
const serviceEnv = "CLEW_INTEROP_SERVICE"

func serveUntilStdinCloses(name string) {
	start, ok := libraries[name]
	if !ok {
		fail(errors.New("no library " + name))
	}
	l, err := start()
	if err != nil {
		fail(err)
	}
	server := httptest.NewServer(l.handler())
	defer server.Close()
	fmt.Println(server.URL)
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// startLibrary runs a service with the library in a process of its own, which
// lasts as long as the test, and returns its URL.
func startLibrary(t *testing.T, name string, env []string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), exe)
	cmd.Env = append([]string{serviceEnv + "=" + name, "HOME=" + t.TempDir()}, env...)
	return firstLine(t, cmd)
}

// firstLine starts a program that ends when its standard input does, and
// returns the first line it prints.
func firstLine(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	t.Cleanup(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, lines)
		err := cmd.Wait()
		if err != nil || t.Failed() {
			t.Logf("%s: %v\n%s", cmd.Path, err, &stderr)
		}
	})
	if err != nil {
		t.Fatalf("%s printed nothing: %v", cmd.Path, err)
	}
	return strings.TrimSpace(line)
}
