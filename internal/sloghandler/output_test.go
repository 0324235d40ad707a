package sloghandler_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	earlyslog "github.com/clewtrace/clew/internal/slog"
	"github.com/clewtrace/clew/internal/sloghandler"
)

// early is a logger as packages have it, made while the program is initialised;
// late is one that is made by slog's own handler, before anything is set up.
var (
	early = slog.With("k", "v w").WithGroup("g")
	late  = slog.New(slogsHandler).With("k", "v w").WithGroup("g")
)

// buffer is a writer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.text.Reset()
	return b.text.String()
}

// writeTo makes package log write to b until the test ends.
func writeTo(t *testing.T, b *buffer, prefix string, flags int) {
	t.Helper()
	writer, before, flagsBefore := log.Writer(), log.Prefix(), log.Flags()
	log.SetOutput(b)
	log.SetPrefix(prefix)
	log.SetFlags(flags)
	t.Cleanup(func() {
		log.SetOutput(writer)
		log.SetPrefix(before)
		log.SetFlags(flagsBefore)
	})
}

// setUp makes printer print what is exported as well, by default.
func setUp(t *testing.T, printer slog.Handler) *recorder {
	t.Helper()
	exported := &recorder{}
	h := sloghandler.Both(sloghandler.WithIDs(printer), sloghandler.New(exported, "test", printer.Enabled))
	t.Cleanup(sloghandler.SetDefault(h, printer))
	return exported
}

// quietly leaves out the time.
func quietly(source bool) *slog.HandlerOptions {
	return &slog.HandlerOptions{AddSource: source, Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		if s, ok := a.Value.Any().(*slog.Source); ok {
			a.Value = slog.StringValue(s.File[strings.LastIndexByte(s.File, '/')+1:] + " " + s.Function[strings.LastIndexByte(s.Function, '/')+1:])
		}
		return a
	}}
}

func TestLoggersMadeBeforeKeepTheirLevel(t *testing.T) {
	for _, test := range []struct {
		name   string
		prefix string
		log    func()
		want   string
		level  string
	}{
		{"a logger made before", "", func() { late.Warn("m n", "a", 1, "b", "x=y") }, `level=WARN msg="m n" k="v w" g.a=1 g.b="x=y"`, "WARN"},
		{"no attributes", "", func() { slog.New(slogsHandler).Error("m") }, "level=ERROR msg=m", "ERROR"},
		{"a level between", "", func() { late.Log(context.Background(), slog.LevelInfo+2, "m") }, `level=INFO+2 msg=m k="v w"`, "INFO+2"},
		{"no message", "", func() { late.Info("") }, `level=INFO msg="" k="v w"`, "INFO"},
		{"a message with an equals sign", "", func() { slog.New(slogsHandler).Info("a=1 is b", "c", "") }, `level=INFO msg="a=1 is b" c=""`, "INFO"},
		{"several lines", "", func() { late.Error("m\nn") }, `level=ERROR msg="m\nn" k="v w"`, "ERROR"},
		{"a prefix of package log", "app: ", func() { late.Error("m") }, `level=ERROR msg="app: m" k="v w"`, "ERROR"},
		{"a line of package log", "app: ", func() { log.Print("m k=v") }, `level=INFO msg="app: m k=v"`, "INFO"},
		{"a line that looks like one of slog", "", func() { log.Print("ERROR m k=v") }, `level=INFO msg="ERROR m k=v"`, "INFO"},
		{"what the default handler is not enabled for", "", func() { late.Debug("m") }, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, printed buffer
			writeTo(t, &before, test.prefix, 0)
			exported := setUp(t, slog.NewTextHandler(&printed, quietly(false)))
			test.log()
			if got := strings.TrimSuffix(printed.take(), "\n"); got != test.want {
				t.Errorf("printed %s\nwant    %s", got, test.want)
			}
			if got := before.take(); got != "" {
				t.Errorf("package log printed %q itself", got)
			}
			records := exported.take()
			if test.want == "" {
				if len(records) > 0 {
					t.Errorf("exported %d records", len(records))
				}
			} else if len(records) != 1 || records[0].SeverityText() != test.level {
				t.Errorf("exported %v, want one at %s", records, test.level)
			}
		})
	}
}

// TestLoggersOfPackagesBelongToTheirSpan: their records are as if the loggers had
// been made afterwards.
func TestLoggersOfPackagesBelongToTheirSpan(t *testing.T) {
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	program := func(plain, with *slog.Logger) {
		for _, l := range []*slog.Logger{plain, with, with.With("b", 2), with.WithGroup("h").With("b", 2)} {
			l.InfoContext(ctx, "m", "a", 1, "e", errors.New("x"))
			l.Debug("m")
			l.Error("INFO m k=v")
		}
	}
	for name, wrap := range map[string]func(slog.Handler) slog.Handler{
		"text":                  func(h slog.Handler) slog.Handler { return h },
		"embedded":              func(h slog.Handler) slog.Handler { return embedding{h} },
		"multi, slog's default": func(h slog.Handler) slog.Handler { return slog.NewMultiHandler(h, defaultHandler) },
		"multi, a logger's":     func(h slog.Handler) slog.Handler { return slog.NewMultiHandler(h, early.Handler()) },
	} {
		t.Run(name, func(t *testing.T) {
			var before, printed buffer
			writeTo(t, &before, "", 0)
			exported := setUp(t, wrap(slog.NewTextHandler(&printed, quietly(true))))
			var want, got [3]string
			take := func() (all [3]string) {
				all[0], all[1] = printed.take(), before.take()
				for _, r := range exported.take() {
					all[2] += fmt.Sprintln(r.SeverityText(), r.Body(), attrs(r))
				}
				return all
			}
			finishes(func() { program(slog.Default(), slog.With("k", "v w").WithGroup("g")) })
			want = take()
			finishes(func() { program(slog.New(defaultHandler), early) })
			if got = take(); got != want {
				t.Errorf("printed, printed by package log, and exported\n%s\nwant\n%s", got, want)
			}
			if n := strings.Count(got[0], "trace_id=01000000000000000000000000000000"); n != 4 {
				t.Errorf("%d lines have the trace id, want 4", n)
			}
		})
	}
}

// TestLoggersOfPackagesFollowTheDefaultOne: as they do in a program that sets
// nothing up, where what they print comes to the handler of the default logger.
func TestLoggersOfPackagesFollowTheDefaultOne(t *testing.T) {
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	const ids = " trace_id=01000000000000000000000000000000 span_id=0200000000000000"
	var before, printed, own buffer
	for _, test := range []struct {
		rule     string
		set      func()
		printed  string
		own      string
		exported int
	}{
		{"nothing is set", func() {}, "level=WARN msg=m" + ids + " k=\"v w\"\n", "", 1},
		{"a logger made of the default one", func() { slog.SetDefault(slog.With("a", 1)) }, "level=WARN msg=m" + ids + " a=1 k=\"v w\"\n", "", 1},
		{"a handler around the default one", func() { slog.SetDefault(slog.New(embedding{slog.Default().Handler()})) }, "level=WARN msg=m" + ids + " k=\"v w\"\n", "", 1},
		{"a handler of the program's own", func() { slog.SetDefault(slog.New(slog.NewTextHandler(&own, quietly(false)))) }, "", "level=WARN msg=m k=\"v w\"\n", 0},
		{"the default one of before", func() { slog.SetDefault(slog.New(defaultHandler)) }, "level=WARN msg=m" + ids + " k=\"v w\"\n", "", 1},
		{"a logger made before", func() { slog.SetDefault(early) }, "level=WARN msg=m" + ids + " k=\"v w\"\n", "", 1},
		{"a handler around one made before", func() { slog.SetDefault(slog.New(embedding{early.Handler()})) }, "level=WARN msg=m" + ids + " k=\"v w\" g.k=\"v w\"\n", "", 1},
		{"slog's own", func() { slog.SetDefault(slog.New(slogsHandler)) }, "level=WARN msg=m" + ids + " k=\"v w\"\n", "", 1},
	} {
		t.Run(test.rule, func(t *testing.T) {
			writeTo(t, &before, "", 0)
			logger := slog.Default()
			t.Cleanup(func() { slog.SetDefault(logger) })
			exported := setUp(t, slog.NewTextHandler(&printed, quietly(false)))
			test.set()
			finishes(func() { early.WarnContext(ctx, "m") })
			if got := printed.take(); got != test.printed {
				t.Errorf("printed %q, want %q", got, test.printed)
			}
			if got := own.take(); got != test.own {
				t.Errorf("the program's handler printed %q, want %q", got, test.own)
			}
			if got := len(exported.take()); got != test.exported {
				t.Errorf("exported %d records, want %d", got, test.exported)
			}
			finishes(func() { log.Print("line"); slog.Info("record") })
			printed.take()
			own.take()
			before.take()
		})
	}
}

func TestLinesKeepTheirSource(t *testing.T) {
	var before, printed buffer
	writeTo(t, &before, "", log.Lshortfile)
	setUp(t, slog.NewTextHandler(&printed, quietly(true)))
	early.Info("early")
	late.Info("late")
	log.Print("line")
	slog.Info("record")
	const source = `source="output_test.go sloghandler_test.TestLinesKeepTheirSource"`
	if got := printed.take(); strings.Count(got, source) != 4 {
		t.Errorf("printed\n%swant four times %s", got, source)
	}
}

func TestIDsAreInEachLine(t *testing.T) {
	var printed buffer
	writeTo(t, &printed, "", 0)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	const ids = " trace_id=01000000000000000000000000000000 span_id=0200000000000000"
	for name, h := range map[string]slog.Handler{"text": slog.NewTextHandler(&printed, quietly(false)), "default": defaultHandler} {
		t.Run(name, func(t *testing.T) {
			exported := setUp(t, h)
			slog.InfoContext(ctx, "m")
			slog.With("a", 1).WithGroup("g").With("b", 2).InfoContext(ctx, "m", "c", 3)
			if got := printed.take(); strings.Count(got, ids) != 2 || strings.Count(got, " g.b=2 g.c=3") != 1 {
				t.Errorf("printed\n%swant twice %s", got, ids)
			}
			if got := len(exported.take()); got != 2 {
				t.Errorf("exported %d records", got)
			}
		})
	}
}

// defaultHandler is the handler of the default logger, and slogsHandler slog's own.
var (
	defaultHandler  = slog.Default().Handler()
	slogsHandler, _ = earlyslog.Own(defaultHandler)
)

type embedding struct{ slog.Handler }

func (h embedding) Handle(ctx context.Context, r slog.Record) error { return h.Handler.Handle(ctx, r) }

// function is a handler of which nothing but a record tells where it leads.
type function func(context.Context, slog.Record) error

func (function) Enabled(context.Context, slog.Level) bool          { return true }
func (f function) Handle(ctx context.Context, r slog.Record) error { return f(ctx, r) }
func (f function) WithAttrs(attrs []slog.Attr) slog.Handler {
	return function(func(ctx context.Context, r slog.Record) error {
		r = r.Clone()
		r.AddAttrs(attrs...)
		return f(ctx, r)
	})
}
func (f function) WithGroup(string) slog.Handler { return f }

// locking is a handler that writes one record after the other.
type locking struct {
	slog.Handler
	mu sync.Mutex
}

func (h *locking) Handle(ctx context.Context, r slog.Record) error {
	h.mu.Lock()
	err := h.Handler.Handle(ctx, r)
	h.mu.Unlock()
	return err
}

// finishes runs the program, and panics if it does not end.
func finishes(program func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		program()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		panic("the program waits for ever")
	}
}

func TestThePrinterMayBeSlogsDefaultHandler(t *testing.T) {
	for name, printer := range map[string]slog.Handler{
		"bare":             defaultHandler,
		"With":             defaultHandler.WithAttrs(nil),
		"embedded":         embedding{defaultHandler},
		"twice":            embedding{&embedding{defaultHandler}},
		"function":         function(defaultHandler.Handle),
		"multi":            slog.NewMultiHandler(slog.DiscardHandler, defaultHandler),
		"locking":          &locking{Handler: defaultHandler},
		"slog's, bare":     slogsHandler,
		"slog's, embedded": embedding{slogsHandler},
		"slog's, function": function(slogsHandler.Handle),
	} {
		t.Run(name, func(t *testing.T) {
			var before buffer
			writeTo(t, &before, "app: ", log.Lshortfile|log.Lmsgprefix)
			program := func() {
				log.Print("line") // the first, before anything is known of the handler
				slog.Info("record", "a", 1)
				early.Warn("early")
				late.Warn("late")
				slog.With("b", 2).Error("with")
				log.Print("INFO line")
				var all sync.WaitGroup
				for range 8 {
					all.Go(func() { slog.Warn("concurrent") })
					all.Go(func() { log.Print("concurrent") })
				}
				all.Wait()
			}
			program()
			want := before.take()
			exported := setUp(t, printer)
			finishes(program)
			if got := before.take(); sorted(got) != sorted(want) {
				t.Errorf("printed\n%swant, as before,\n%s", got, want)
			}
			records := exported.take()
			if len(records) != 22 {
				t.Errorf("exported %d records, want 22", len(records))
			}
			if got := fmt.Sprint(records[2].SeverityText(), attrs(records[2])); got != `WARN[{"k":"v w"}]` {
				t.Errorf("the logger made before exported %s", got)
			}
		})
	}
}

// TestAContextMayBeNil, since a handler that calls another one need not go through
// a logger, which makes it [context.Background].
func TestAContextMayBeNil(t *testing.T) {
	for name, handler := range map[string]slog.Handler{"the default one": nil, "one made before": early.Handler()} {
		t.Run(name, func(t *testing.T) {
			var printed buffer
			writeTo(t, &printed, "", 0)
			exported := setUp(t, embedding{defaultHandler})
			if handler == nil {
				handler = slog.Default().Handler()
			}
			finishes(func() {
				handler.Enabled(nil, slog.LevelInfo)                                     //nolint:staticcheck // what is tested
				handler.Handle(nil, slog.NewRecord(time.Time{}, slog.LevelInfo, "m", 0)) //nolint:staticcheck,errcheck // the same
			})
			if got := printed.take(); !strings.HasPrefix(got, "INFO m") || len(exported.take()) != 1 {
				t.Errorf("printed %q", got)
			}
		})
	}
}

// queueing is a handler that has a goroutine of its own handle records.
type queueing struct {
	slog.Handler
	queue chan<- func()
}

func (h queueing) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone()
	h.queue <- func() { h.Handler.Handle(ctx, r) } //nolint:errcheck // nobody waits for it
	return nil
}

func (h queueing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return queueing{h.Handler.WithAttrs(attrs), h.queue}
}

func (h queueing) WithGroup(name string) slog.Handler {
	return queueing{h.Handler.WithGroup(name), h.queue}
}

// TestThePrinterMayHandRecordsToAnotherGoroutine, and lead to slog's default
// handler there.
func TestThePrinterMayHandRecordsToAnotherGoroutine(t *testing.T) {
	for name, size := range map[string]int{"one at a time": 0, "several": 16} {
		t.Run(name, func(t *testing.T) {
			var printed buffer
			writeTo(t, &printed, "", 0)
			queue := make(chan func(), size)
			var worker sync.WaitGroup
			worker.Go(func() {
				for do := range queue {
					do()
				}
			})
			exported := setUp(t, queueing{defaultHandler, queue})
			finishes(func() {
				slog.Info("record", "a", 1)
				early.Warn("early")
				slog.With("b", 2).Error("with")
				log.Print("line")
				close(queue)
				worker.Wait()
			})
			want := sorted("INFO record a=1\nWARN early k=\"v w\"\nERROR with b=2\nline\n")
			if got := sorted(printed.take()); got != want {
				t.Errorf("printed\n%s\nwant\n%s", got, want)
			}
			// What slog's own handler prints there cannot be told from a record of a logger
			// that has it: the ones with attributes are exported once more.
			count := map[string]int{}
			for _, r := range exported.take() {
				count[r.Body().AsString()]++
			}
			if count["record"] != 1 || count["line"] != 1 || count["early"] == 0 || count["with"] == 0 {
				t.Errorf("exported %v", count)
			}
		})
	}
}

// sorted makes the order of lines not matter, nor the lines of this file.
func sorted(lines string) string {
	all := strings.Split(regexp.MustCompile(`\.go:\d+`).ReplaceAllString(lines, ".go"), "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func TestAProgramMayDeriveItsDefaultLogger(t *testing.T) {
	text := func(b *buffer) slog.Handler { return slog.NewTextHandler(b, quietly(false)) }
	for _, test := range []struct {
		name    string
		printer func(*buffer) slog.Handler
		want    string
	}{
		{"default", func(*buffer) slog.Handler { return defaultHandler }, "line\nINFO record s=1\nWARN late k=\"v w\"\nWARN early s=1 k=\"v w\"\n"},
		{"function", func(*buffer) slog.Handler { return function(defaultHandler.Handle) }, "line\nINFO record s=1\nWARN late k=\"v w\"\nWARN early k=\"v w\" s=1\n"},
		{"text", text, "level=INFO msg=line s=1\nlevel=INFO msg=record s=1\nlevel=WARN msg=late s=1 k=\"v w\"\nlevel=WARN msg=early s=1 k=\"v w\"\n"},
		{"other", func(b *buffer) slog.Handler { return function(text(b).Handle) }, "level=INFO msg=line s=1\nlevel=INFO msg=record s=1\nlevel=WARN msg=late k=\"v w\" s=1\nlevel=WARN msg=early k=\"v w\" s=1\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var printed buffer
			writeTo(t, &printed, "", 0)
			exported := setUp(t, test.printer(&printed))
			slog.SetDefault(slog.With("s", 1))
			finishes(func() {
				log.Print("line")
				slog.Info("record")
				late.Warn("late")
				early.Warn("early")
			})
			if got := printed.take(); got != test.want {
				t.Errorf("printed\n%swant\n%s", got, test.want)
			}
			if got := len(exported.take()); got != 4 {
				t.Errorf("exported %d records, want 4", got)
			}
		})
	}
}

func TestOtherPrintersGetTheLines(t *testing.T) {
	var before, printed buffer
	writeTo(t, &before, "", 0)
	text := slog.NewTextHandler(&printed, quietly(false))
	exported := setUp(t, function(text.Handle))
	log.Print("line")
	early.Warn("early")
	late.Warn("late")
	if got, want := printed.take(), "level=INFO msg=line\nlevel=WARN msg=early k=\"v w\"\nlevel=WARN msg=late k=\"v w\"\n"; got != want || before.take() != "" {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	if got := len(exported.take()); got != 3 {
		t.Errorf("exported %d records", got)
	}

	t.Cleanup(sloghandler.SetDefault(function(func(context.Context, slog.Record) error { panic("bad handler") }), nil))
	setUp(t, function(func(context.Context, slog.Record) error { panic("bad handler") }))
	defer func() {
		if r := recover(); r != "bad handler" {
			t.Errorf("the panic of a handler is %v in the program", r)
		}
	}()
	log.Print("line")
}

func TestWhatWasBeforeIsThereAfterwards(t *testing.T) {
	var before, printed buffer
	writeTo(t, &before, "app: ", log.Lmsgprefix)
	logger := slog.Default()
	text := slog.NewTextHandler(&printed, quietly(false))
	exported := &recorder{}
	restore := sloghandler.SetDefault(sloghandler.Both(sloghandler.WithIDs(text), sloghandler.New(exported, "test", nil)), text)
	between := slog.With("a", 1)
	restore()
	if slog.Default() != logger || log.Writer() != &before || log.Flags() != log.Lmsgprefix {
		t.Error("the default logger, or the writer or flags of package log, are not those of before")
	}
	early.Warn("m")
	log.Print("line")
	if got, want := before.take(), "app: WARN m k=\"v w\"\napp: line\n"; got != want {
		t.Errorf("package log printed %q, want %q", got, want)
	}
	between.Warn("between")
	if got, want := printed.take(), "level=WARN msg=between a=1\n"; got != want {
		t.Errorf("a logger of meanwhile printed %q, want %q", got, want)
	}
}

// TestWhatTheProgramSetMeanwhileStays: neither a default logger of its own nor the file
// that it gave package log is taken back.
func TestWhatTheProgramSetMeanwhileStays(t *testing.T) {
	var before, own, printed buffer
	for _, test := range []struct {
		rule           string
		set            func()
		logger, output bool // stays
		printed        string
	}{
		{"nothing", func() {}, false, false, "line\n"},
		{"a logger made of the default one", func() { slog.SetDefault(slog.With("a", 1)) }, false, false, "line\n"},
		{"the default one of before", func() { slog.SetDefault(slog.New(defaultHandler)) }, true, false, "line\n"},
		{"a logger made before", func() { slog.SetDefault(early); log.Print("meanwhile") }, true, false, "line\n"},
		{"a logger of its own", func() { slog.SetDefault(slog.New(slog.NewTextHandler(&own, quietly(false)))) }, true, true, "level=INFO msg=line\n"},
		{"a file for package log", func() { log.SetOutput(&own); log.SetFlags(log.Lmsgprefix) }, false, true, "line\n"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			writeTo(t, &before, "", 0)
			logger := slog.Default()
			t.Cleanup(func() { slog.SetDefault(logger) })
			text := slog.NewTextHandler(&printed, quietly(false))
			restore := sloghandler.SetDefault(sloghandler.WithIDs(text), text)
			test.set()
			restore()
			if stays := slog.Default() != logger; stays != test.logger {
				t.Errorf("the default logger stays: %v, want %v", stays, test.logger)
			}
			log.Print("line")
			to, other := &before, &own
			if test.output {
				to, other = other, to
			}
			if got := to.take(); got != test.printed {
				t.Errorf("package log printed %q, want %q", got, test.printed)
			}
			if got := other.take(); got != "" {
				t.Errorf("it printed %q elsewhere", got)
			}
		})
	}
}
