package auto_test

import (
	"errors"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
)

const limit = time.Minute

// signalled are the ends that wait for a signal.
var signalled = map[string]os.Signal{
	"signal": syscall.SIGTERM, "own": syscall.SIGTERM, "stopped": syscall.SIGTERM, "reset": syscall.SIGTERM, "hangup": syscall.SIGHUP,
	"ignored": syscall.SIGTERM, "blocked": syscall.SIGTERM,
}

// TestExits ends a program in every way, and compares it with what plain go
// builds: exit code and output are the same, and all spans arrive.
func TestExits(t *testing.T) {
	// Programs that are started under nohup, as this test may be, ignore hangups.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	dir := module(t, "exits")
	plain, traced := buildPlain(t, dir), build(t, dir)
	for _, how := range []string{"return", "exit", "fatal", "panic", "nested", "gopanic", "signal", "own", "stopped", "reset", "hangup", "ignored"} {
		t.Run(how, func(t *testing.T) {
			c := newCollector(t)
			want, wantOutput := end(t, process.Start(t, plain, []string{how}, nil), how)
			got, gotOutput := end(t, c.start(t, traced, []string{how}), how)
			if got != want {
				t.Errorf("exit code %d, plain %d", got, want)
			}
			if gotOutput != wantOutput {
				t.Errorf("output:\n%s\nplain:\n%s", gotOutput, wantOutput)
			}
			names := map[string]int{}
			for _, s := range c.Spans() {
				names[s.GetKind().String()+" "+s.GetName()]++
			}
			if names["SPAN_KIND_CLIENT GET"] != 1 || names["SPAN_KIND_SERVER GET"] != 1 || len(names) != 2 {
				t.Errorf("spans: %v", names)
			}
			checkLogs(t, c, how)
		})
	}
}

// TestExitsInsidePackageLog ends a program while package log holds its lock.
func TestExitsInsidePackageLog(t *testing.T) {
	path := build(t, module(t, "exits"))
	for how, want := range map[string]int{"last": 3, "blocked": -1} {
		t.Run(how, func(t *testing.T) {
			c := newCollector(t)
			p := c.start(t, path, []string{how}, "CLEW_AUTO_EXIT_TIMEOUT=1000")
			if code, _ := end(t, p, how); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			compare(t, shapes(c.Spans()), map[string]int{"client GET(server GET)": 1})
			if l := c.Logs(); len(l) != 1 || l[0].GetBody().GetStringValue() != how {
				t.Errorf("log records %v", l)
			}
		})
	}
}

// checkLogs looks for what the program says at its end.
func checkLogs(t *testing.T, c *collector, how string) {
	t.Helper()
	want := map[string]string{"fatal": "fatal", "panic": "panic: main panics", "nested": "panic: second", "gopanic": "panic: assignment to entry in nil map"}[how]
	var got []string
	for _, l := range c.Logs() {
		got = append(got, l.GetBody().GetStringValue())
	}
	if strings.Join(got, "\n") != want {
		t.Errorf("log records %q, want %q", got, want)
	}
}

// TestExitWithoutACollector ends at once when nobody listens.
func TestExitWithoutACollector(t *testing.T) {
	path := build(t, module(t, "exits"))
	p := process.Start(t, path, []string{"exit"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + process.FreeAddrs(t, 1)[0], "CLEW_AUTO_EXIT_TIMEOUT=3600000"})
	if code := p.Wait(t, limit); code != 3 || p.Stderr() != "" {
		t.Errorf("exit code %d, standard error %q", code, p.Stderr())
	}
}

// TestSilentCollector ends in time when the collector does not answer.
func TestSilentCollector(t *testing.T) {
	path := build(t, module(t, "exits"))
	addr := silent(t)
	p := process.Start(t, path, []string{"exit"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + addr, "CLEW_AUTO_EXIT_TIMEOUT=100"})
	if code := p.Wait(t, limit); code != 3 || p.Stderr() != "" {
		t.Errorf("exit code %d, standard error %q", code, p.Stderr())
	}
}

// end returns how a program ends, and what it has printed, without what is
// different in each run.
func end(t *testing.T, p *process.Process, how string) (code int, output string) {
	t.Helper()
	if s, ok := signalled[how]; ok {
		process.Eventually(t, limit, func() error {
			if !strings.Contains(p.Stdout(), "ready\n") {
				return errors.New("the program is not ready")
			}
			return nil
		})
		p.Signal(t, s)
		if how == "ignored" {
			p.Signal(t, syscall.SIGUSR1)
		}
	}
	code = p.Wait(t, limit)
	return code, unify.ReplaceAllString(p.Stdout()+p.Stderr(), "-")
}

// unify matches times, addresses and numbers of goroutines and of lines of the
// standard library's own files.
var unify = regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|0x[0-9a-f]+|goroutine \d+`)
