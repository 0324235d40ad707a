package otelsetup_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/otelsetup"
)

// earlyLogger is a logger as packages have it, made before Start.
var earlyLogger = slog.With("k", "v")

var earlyHandler = slog.Default().Handler().WithAttrs(nil)

// exportedLevels logs at each level and returns those that are exported.
func exportedLevels(t *testing.T, printer slog.Handler) string {
	t.Helper()
	store, _, flush := start(t, otelsetup.WithLogHandler(printer))
	for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		slog.Log(t.Context(), l, "m")
	}
	flush()
	var levels []string
	for _, l := range store.Logs() {
		levels = append(levels, l.GetSeverityText())
	}
	return strings.Join(levels, " ")
}

func TestWhatIsPrintedIsExported(t *testing.T) {
	text := func(l slog.Level) slog.Handler {
		return slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: l})
	}
	for _, test := range []struct {
		name, exporter, level string
		printer               slog.Handler
		want                  string
	}{
		{"as slog prints", "", "", text(slog.LevelInfo), "INFO WARN ERROR"},
		{"debug is printed", "", "", text(slog.LevelDebug), "DEBUG INFO WARN ERROR"},
		{"warnings are printed", "", "", text(slog.LevelWarn), "WARN ERROR"},
		{"a handler that discards", "", "", slog.DiscardHandler, "INFO WARN ERROR"},
		{"nothing is printed", "otlp", "", text(slog.LevelDebug), "INFO WARN ERROR"},
		{"a level is set", "", "debug", text(slog.LevelWarn), "DEBUG INFO WARN ERROR"},
		{"a level is set, and nothing is printed", "otlp", "warn+1", text(slog.LevelDebug), "ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("OTEL_LOGS_EXPORTER", test.exporter)
			t.Setenv("CLEW_LOG_EXPORT_LEVEL", test.level)
			if got := exportedLevels(t, test.printer); got != test.want {
				t.Errorf("exported %s, want %s", got, test.want)
			}
		})
	}
}

// verbose is a handler with another level for the loggers of one component, and for
// those of a group.
type verbose struct {
	slog.Handler
	least slog.Level
}

func (h verbose) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least }

func (h verbose) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		if a.Key == "component" {
			h.least = slog.LevelDebug
		}
	}
	return verbose{h.Handler.WithAttrs(attrs), h.least}
}

func (h verbose) WithGroup(name string) slog.Handler {
	return verbose{h.Handler.WithGroup(name), slog.LevelError}
}

func TestALevelOfALoggerIsThatOfWhatIsExported(t *testing.T) {
	for level, want := range map[string]string{"": "db plain group", "info": "plain quiet group"} {
		t.Setenv("CLEW_LOG_EXPORT_LEVEL", level)
		var printed bytes.Buffer
		text := slog.NewTextHandler(&printed, &slog.HandlerOptions{Level: slog.LevelDebug})
		store, _, flush := start(t, otelsetup.WithLogHandler(verbose{text, slog.LevelInfo}))
		slog.With("component", "db").DebugContext(parent(t, "01"), "db")
		slog.Debug("silent")
		slog.Info("plain")
		slog.Default().WithGroup("g").Info("quiet", "a", 1)
		slog.Default().WithGroup("g").Error("group", "a", 1)
		flush()
		var exported []string
		for _, l := range store.Logs() {
			exported = append(exported, l.GetBody().GetStringValue())
		}
		if got := strings.Join(exported, " "); got != want {
			t.Errorf("level %q: exported %s, want %s; printed\n%s", level, got, want, &printed)
		}
		if got := strings.Count(printed.String(), "\n"); got != 3 {
			t.Errorf("printed %d lines, want 3:\n%s", got, &printed)
		}
	}
}

func TestALoggerMadeBeforeStartKeepsItsLevel(t *testing.T) {
	late := slog.With("k", "v") // slog's own, because the program is running already
	for name, logger := range map[string]*slog.Logger{"by a package": earlyLogger, "by main": late} {
		t.Run(name, func(t *testing.T) {
			var printed bytes.Buffer
			store, _, flush := start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
			logger.Error("m n", "a", 1)
			flush()
			if got, want := printed.String(), `level=ERROR msg="m n" k=v a=1`+"\n"; !strings.HasSuffix(got, want) {
				t.Errorf("printed %s, want %s", got, want)
			}
			if logs := store.Logs(); len(logs) != 1 || logs[0].GetSeverityText() != "ERROR" || logs[0].GetBody().GetStringValue() != "m n" || len(logs[0].GetAttributes()) != 2 {
				t.Errorf("exported %v", logs)
			}
		})
	}
}

// TestALoggerOfAPackageBelongsToTheTelemetryThatRuns: in between it prints as it
// did before the first Start.
func TestALoggerOfAPackageBelongsToTheTelemetryThatRuns(t *testing.T) {
	var printed, plain bytes.Buffer
	writer, flags := log.Writer(), log.Flags()
	defer func() { log.SetOutput(writer); log.SetFlags(flags) }()
	log.SetOutput(&plain)
	log.SetFlags(log.Lshortfile)
	derived := earlyLogger.WithGroup("g").With("b", 2)
	printPlain := func(when string) {
		t.Helper()
		plain.Reset()
		earlyLogger.Info("m", "a", 1)
		derived.Info("m", "a", 1)
		slog.Info("m")
		log.Print("m")
		const want = "log_test.go: INFO m k=v a=1\nlog_test.go: INFO m k=v g.b=2 g.a=1\nlog_test.go: INFO m\nlog_test.go: m\n"
		if got := regexp.MustCompile(`:\d+`).ReplaceAllString(plain.String(), ""); got != want {
			t.Errorf("%s, package log printed\n%swant\n%s", when, got, want)
		}
	}
	printPlain("before")
	for n := range 2 {
		store, _, flush := start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
		ctx := parent(t, "01")
		plain.Reset()
		printed.Reset()
		earlyLogger.WarnContext(ctx, "m", "a", 1)
		earlyLogger.WithGroup("g").With("b", 2).WarnContext(ctx, "m", "a", 1)
		flush()
		logs := store.Logs()
		if len(logs) != 2 || strings.Count(printed.String(), "trace_id=0af7651916cd43dd8448eb211c80319c") != 2 || plain.Len() > 0 {
			t.Fatalf("start %d: exported %v, printed\n%s%s", n+1, logs, &printed, &plain)
		}
		for _, l := range logs {
			if got := hex.EncodeToString(l.GetTraceId()); got != "0af7651916cd43dd8448eb211c80319c" || l.GetSeverityText() != "WARN" {
				t.Errorf("start %d: exported %v", n+1, l)
			}
		}
		printPlain("after Shutdown")
	}
}

// wrapping is a handler of another package that does what it does, and more.
type wrapping struct{ slog.Handler }

func (h wrapping) Handle(ctx context.Context, r slog.Record) error { return h.Handler.Handle(ctx, r) }

func TestTheDefaultHandlerMayPrint(t *testing.T) {
	late := slog.With("k", "v")
	for name, h := range map[string]slog.Handler{
		"bare": slog.Default().Handler(), "wrapped": wrapping{slog.Default().Handler()},
		"of a package": earlyHandler, "of a package, wrapped": wrapping{earlyHandler},
		"slog's own, wrapped": wrapping{slog.Default().Handler().WithAttrs(nil)},
		"among others":        slog.NewMultiHandler(slog.Default().Handler(), slog.DiscardHandler),
	} {
		t.Run(name, func(t *testing.T) {
			var printed bytes.Buffer
			writer, flags := log.Writer(), log.Flags()
			defer func() { log.SetOutput(writer); log.SetFlags(flags) }()
			log.SetOutput(&printed)
			log.SetFlags(0)
			store, _, flush := start(t, otelsetup.WithLogHandler(h))
			done := make(chan struct{})
			go func() {
				defer close(done)
				log.Print("line")
				otel.Handle(errors.New("x"))
				slog.InfoContext(parent(t, "01"), "record")
				earlyLogger.Warn("early")
				late.Warn("late")
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				panic("the program waits for ever")
			}
			flush()
			want := "line\nWARN opentelemetry error=x\nINFO record trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331\nWARN early k=v\nWARN late k=v\n"
			if got := printed.String(); got != want {
				t.Errorf("printed\n%swant\n%s", got, want)
			}
			if got := len(store.Logs()); got != 4 {
				t.Errorf("exported %d records, want 4", got)
			}
		})
	}
}
