package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/clewtrace/clew/delivery"
)

// diagnostics gets what the SDK has to say about itself, as its
// [otel.ErrorHandler] and as the sink of its logger: it is printed, and never
// exported, since exporting is what goes wrong most often. Of each kind one
// line is printed at once, then at most one per minute with a count, so that an absent
// collector does not fill the log. OTEL_LOG_LEVEL says what is printed.
//
// While Shutdown runs, errors are collected for its result instead.
type diagnostics struct {
	printer slog.Handler
	level   slog.Level // decides alone what is printed; the printer's own does not count

	mu         sync.Mutex
	lines      map[string]*line // by kind
	collecting bool
	collected  []error
	silent     bool
}

// line is a kind of message that comes again and again.
type line struct {
	next time.Time // not before
	held int       // since the last one that was printed
}

const (
	diagnosticsInterval = time.Minute
	// maxLines bounds how many kinds are told apart; the rest is one.
	maxLines = 100
)

// Handle implements [otel.ErrorHandler].
func (d *diagnostics) Handle(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.silent {
		d.report(err)
	}
}

// fromDelivery handles what delivery has to say, from the beginning: what a
// spool has lost is found while the SDK is built. While Shutdown runs, its
// result says what was lost, and why.
func (d *diagnostics) fromDelivery(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.collecting {
		d.report(err)
	}
}

// report prints an error, or collects it. The lock is held.
func (d *diagnostics) report(err error) {
	if err == nil {
		return
	}
	if d.collecting {
		// The SDK stops its reader of metrics by a context. If that finds it about to collect,
		// it says no more than this, and collects again for the last time.
		if err != context.Canceled { //nolint:errorlint // only what is that and nothing else
			d.collected = append(d.collected, err)
		}
		return
	}
	d.print(kindOf(err), slog.LevelError, "opentelemetry", slog.Any("error", err))
}

// maxKind bounds in bytes how much of a text tells kinds apart.
const maxKind = 200

// kindOf tells errors apart that are worth a line each. A collector that is away, or
// refuses, is one for all signals. Other errors are told apart by their text without its
// digits, which are ports, sizes and times.
func kindOf(err error) string {
	if lost, ok := errors.AsType[*delivery.DroppedError](err); ok {
		return "dropped " + lost.Reason
	}
	if away, ok := errors.AsType[*delivery.RetryError](err); ok {
		server, _, _ := strings.Cut(away.URL, "/v1/")
		return "away " + away.Reason + " " + server
	}
	text := fmt.Sprint(err) // it may be nil, or panic
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return -1
		}
		return r
	}, text[:min(len(text), maxKind)])
}

// print prints a message, or counts it if one of its kind was printed within
// the interval. The lock is held.
func (d *diagnostics) print(kind string, level slog.Level, message string, attrs ...any) {
	if level < d.level {
		return
	}
	if d.lines == nil {
		d.lines = map[string]*line{}
	}
	l := d.lines[kind]
	now := time.Now()
	if l == nil {
		if len(d.lines) >= maxLines {
			maps.DeleteFunc(d.lines, func(_ string, l *line) bool { return !now.Before(l.next) })
		}
		if len(d.lines) >= maxLines {
			kind = ""
		}
		if l = d.lines[kind]; l == nil {
			l = &line{}
			d.lines[kind] = l
		}
	}
	if now.Before(l.next) {
		l.held++
		return
	}
	if l.held > 0 {
		attrs = append(attrs, slog.Int("errors_not_shown", l.held))
	}
	l.next, l.held = now.Add(diagnosticsInterval), 0
	// A handler may have something to say to the SDK itself.
	d.mu.Unlock()
	defer d.mu.Lock()
	// An error of the SDK is a warning to the program, which runs on.
	d.write(min(level, slog.LevelWarn), message, attrs...)
}

func (d *diagnostics) write(level slog.Level, message string, attrs ...any) {
	r := slog.NewRecord(time.Now(), level, message, 0)
	r.Add(attrs...)
	d.printer.Handle(context.Background(), r) //nolint:errcheck // there is nobody left to tell
}

// silence says whether what the SDK reports is dropped.
func (d *diagnostics) silence(silent bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.silent = silent
}

// problems prints what Start has to say, a line for each.
func (d *diagnostics) problems(all []Problem) {
	for _, p := range all {
		if slog.LevelWarn >= d.level {
			d.write(slog.LevelWarn, "telemetry", slog.String("error", p.String()))
		}
	}
}

func (d *diagnostics) collect() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.collecting = true
}

// collectedErrors ends the collecting and returns what came.
func (d *diagnostics) collectedErrors() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := errors.Join(d.collected...)
	d.collecting, d.collected = false, nil
	return err
}

// sink makes diagnostics a [logr.LogSink], which is what [otel.SetLogger]
// takes.
type sink struct {
	*diagnostics
	values []any
}

// verbosityWarn is the verbosity of the SDK's warnings, as [otel.SetLogger]
// documents it. Its next one, informational, tells of every tracer and meter
// that a library asks for: at the default level that is too much.
const verbosityWarn = 1

func verbosityLevel(v int) slog.Level {
	if v <= verbosityWarn {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

func (sink) Init(logr.RuntimeInfo) {}

func (s sink) Enabled(v int) bool { return verbosityLevel(v) >= s.level }

func (s sink) Info(v int, message string, values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		return
	}
	s.print(message, verbosityLevel(v), "opentelemetry: "+message, slices.Concat(s.values, values)...)
}

func (s sink) Error(err error, message string, values ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent {
		return
	}
	s.print(message+" "+kindOf(err), slog.LevelError, "opentelemetry: "+message, slices.Concat([]any{slog.Any("error", err)}, s.values, values)...)
}

func (s sink) WithValues(values ...any) logr.LogSink {
	return sink{s.diagnostics, slices.Concat(s.values, values)}
}

func (s sink) WithName(string) logr.LogSink { return s }
