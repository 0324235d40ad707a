package otelsetup_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// programEnv names the program that this test binary runs instead of the
// tests.
const programEnv = "OTELSETUP_TEST_PROGRAM"

// graceEnv is the grace of that program.
const graceEnv = "OTELSETUP_TEST_GRACE"

var errCall = errors.New("the call failed")

// programs are what Main runs in a process of its own.
var programs = map[string]func(context.Context) error{
	"returns nil": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		span.End()
		return nil
	},
	"returns an error that a span recorded": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		span.RecordError(errCall)
		span.SetStatus(codes.Error, errCall.Error())
		return errCall
	},
	"returns an error that no span recorded": func(context.Context) error { return errCall },
	"panics inside a span": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		panic("no way out")
	},
	"panics outside of any span": func(context.Context) error { panic("no way out") },
	"is interrupted": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		return raise(ctx, syscall.SIGINT)
	},
	"is terminated": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		return raise(ctx, syscall.SIGTERM)
	},
	"stops gracefully": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		raise(ctx, syscall.SIGTERM) //nolint:errcheck // it is told to stop, and does
		return nil
	},
	"closes its server": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		raise(ctx, syscall.SIGTERM) //nolint:errcheck // it is told to stop, and does
		return fmt.Errorf("serving: %w", http.ErrServerClosed)
	},
	"fails while it stops": func(ctx context.Context) error {
		raise(ctx, syscall.SIGTERM) //nolint:errcheck // it is told to stop
		return errCall
	},
	"ignores its context": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		span.End()
		raise(ctx, syscall.SIGTERM) //nolint:errcheck // it is told to stop, and does not
		select {}
	},
	"returns an error with the words of an old one": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "upload")
		span.RecordError(io.EOF)
		span.End()
		return errors.New("unexpected EOF in config")
	},
	"wraps an error that a span recorded": func(ctx context.Context) error {
		ctx, outer := otel.Tracer("test").Start(ctx, "outer")
		defer outer.End()
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		span.RecordError(errCall)
		return fmt.Errorf("at start: %w", errCall)
	},
	"panics with what cannot be compared": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		panic(struct{ any }{[]int{1}})
	},
	"fails below a remote parent": func(ctx context.Context) error {
		header := http.Header{"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}
		ctx = otel.GetTextMapPropagator().Extract(ctx, headerCarrier(header))
		_, span := otel.Tracer("test").Start(ctx, "work")
		defer span.End()
		span.RecordError(errCall)
		return errCall
	},
	"is interrupted twice": func(ctx context.Context) error {
		_, span := otel.Tracer("test").Start(ctx, "work")
		span.End()
		if err := raise(ctx, syscall.SIGINT); !errors.Is(err, context.Canceled) {
			return err
		}
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			return err
		}
		select {} // it does not want to end
	},
	"defers and returns nil":      func(context.Context) error { defer fmt.Println("deferred"); return nil },
	"defers and returns an error": func(context.Context) error { defer fmt.Println("deferred"); return errCall },
	"defers and panics":           func(context.Context) error { defer fmt.Println("deferred"); panic("no way out") },
	"defers and is terminated": func(ctx context.Context) error {
		defer fmt.Println("deferred")
		return raise(ctx, syscall.SIGTERM)
	},
}

func raise(ctx context.Context, s syscall.Signal) error {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestMain(m *testing.M) {
	if run, ok := programs[os.Getenv(programEnv)]; ok {
		var opts []otelsetup.MainOption
		if grace, err := time.ParseDuration(os.Getenv(graceEnv)); err == nil {
			opts = append(opts, otelsetup.WithGrace(grace))
		}
		otelsetup.Main(run, opts...)
	}
	if err := startOnce(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Set("test.parallel", "8") //nolint:errcheck // they mostly wait for processes
	goleak.VerifyTestMain(m)
}

// startOnce is the Start that comes before the first use of
// [http.DefaultTransport]: each Close of an httptest.Server is one, after which no
// Start could trace its https requests. What is registered then stays.
func startOnce() error {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		name := "OTEL_" + signal + "_EXPORTER"
		if err := os.Setenv(name, "none"); err != nil {
			return err
		}
		defer os.Unsetenv(name) //nolint:errcheck // it could be set
	}
	telemetry, err := otelsetup.Start(context.Background())
	if err != nil {
		return err
	}
	return telemetry.Shutdown(context.Background())
}

// runProgram runs one of programs as a process that exports to a receiver.
func runProgram(t *testing.T, name string) (code int, stderr string, store *otlpreceiver.Store) {
	t.Helper()
	store = &otlpreceiver.Store{}
	server := httptest.NewServer(store.Handler())
	defer server.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), programEnv+"="+name, "OTEL_SERVICE_NAME=program", "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	var out bytes.Buffer
	cmd.Stderr = &out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), store
}

func TestMainEnds(t *testing.T) {
	for _, test := range []struct {
		program string
		code    int
		span    string // the one that failed, and that the log line belongs to
		message string
	}{
		{program: "returns nil", code: 0},
		{program: "returns an error that a span recorded", code: 1, span: "work", message: errCall.Error()},
		{program: "returns an error that no span recorded", code: 1, span: "main", message: errCall.Error()},
		{program: "panics inside a span", code: 1, span: "work", message: "no way out"},
		{program: "panics outside of any span", code: 1, span: "main", message: "no way out"},
		{program: "returns an error with the words of an old one", code: 1, span: "main", message: "unexpected EOF in config"},
		{program: "wraps an error that a span recorded", code: 1, span: "work", message: errCall.Error()},
		{program: "panics with what cannot be compared", code: 1, span: "main", message: "panic: {[1]}"},
		{program: "fails below a remote parent", code: 1, span: "work", message: errCall.Error()},
		{program: "stops gracefully", code: 0},
		{program: "closes its server", code: 0},
		{program: "fails while it stops", code: 1, span: "main", message: errCall.Error()},
		{program: "is interrupted", code: 130},
		{program: "is terminated", code: 143},
	} {
		t.Run(test.program, func(t *testing.T) {
			t.Parallel()
			code, stderr, store := runProgram(t, test.program)
			if code != test.code {
				t.Errorf("exit code %d, want %d\n%s", code, test.code, stderr)
			}
			spans, logs := store.Spans(), store.Logs()
			if len(spans) == 0 || len(spans) > 2 {
				t.Fatalf("%d spans delivered, want 1 or 2\n%s", len(spans), stderr)
			}
			if test.span == "" {
				if len(logs) > 0 || stderr != "" {
					t.Errorf("logged without need: %s", stderr)
				}
				return
			}
			i := slices.IndexFunc(spans, func(s otlpreceiver.Span) bool { return s.GetName() == test.span })
			if i < 0 {
				t.Fatalf("no span %q among %v", test.span, spans)
			}
			span := spans[i]
			if !hasException(span, test.message) {
				t.Errorf("%q is not recorded on the span: %v", test.message, span.GetEvents())
			}
			if len(logs) != 1 || !bytes.Equal(logs[0].GetSpanId(), span.GetSpanId()) || !bytes.Equal(logs[0].GetTraceId(), span.GetTraceId()) {
				t.Errorf("want one log record inside the span %x, got %v", span.GetSpanId(), logs)
			}
			if !strings.Contains(stderr, test.message) || !strings.Contains(stderr, "trace_id=") {
				t.Errorf("printed %q, want %q with its trace_id", stderr, test.message)
			}
		})
	}
}

// TestRunThatIgnoresItsContext is left after the grace. What it had recorded
// arrives at the signal: the program goes on until the test has seen that.
func TestRunThatIgnoresItsContext(t *testing.T) {
	store := &otlpreceiver.Store{}
	arrived := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		store.Handler().ServeHTTP(w, r)
		if r.URL.Path == "/v1/traces" {
			arrived <- struct{}{}
		}
	}))
	defer server.Close()
	env := func(grace string) []string {
		return append(os.Environ(), programEnv+"=ignores its context", graceEnv+"="+grace, "OTEL_EXPORTER_OTLP_ENDPOINT="+server.URL)
	}
	t.Run("what it recorded is sent at the signal", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = env("1h")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-arrived
		if len(store.Spans()) != 1 {
			t.Errorf("%d spans have arrived, want 1", len(store.Spans()))
		}
		cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // the second one ends it
		cmd.Wait()                          //nolint:errcheck // by that signal
		if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
			t.Errorf("%v, want that the second signal ended it", cmd.ProcessState)
		}
	})
	t.Run("it is left after the grace", func(t *testing.T) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = env("500ms")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != 143 || strings.Count(string(out), "run has not returned") != 1 {
			t.Errorf("%v, printed %s", err, out)
		}
	})
}

func hasException(s otlpreceiver.Span, message string) bool {
	for _, e := range s.GetEvents() {
		if e.GetName() == "exception" && strings.Contains(otlpreceiver.Attribute(e.GetAttributes(), "exception.message").GetStringValue(), message) {
			return true
		}
	}
	return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR && strings.Contains(s.GetStatus().GetMessage(), message)
}

func ExampleMain() {
	run := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost:8000/", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	main := func() { otelsetup.Main(run) }
	_ = main
}
