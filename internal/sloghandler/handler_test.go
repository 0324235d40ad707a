package sloghandler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"testing/slogtest"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/clewtrace/clew/internal/sloghandler"
)

// everything enables all levels.
var everything = sloghandler.From(slog.Level(-1000))

// plain is a value as slogtest looks at it.
func plain(v attribute.Value) any {
	if v.Type() != attribute.MAP {
		return v.AsInterface()
	}
	m := map[string]any{}
	for _, kv := range v.AsMap() {
		m[string(kv.Key)] = plain(kv.Value)
	}
	return m
}

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var exported *recorder
	slogtest.Run(t, func(*testing.T) slog.Handler {
		exported = &recorder{}
		return sloghandler.New(exported, "test", nil)
	}, func(t *testing.T) map[string]any {
		t.Helper()
		r := exported.one(t)
		m := map[string]any{slog.LevelKey: r.SeverityText(), slog.MessageKey: r.Body().AsString()}
		if !r.Timestamp().IsZero() {
			m[slog.TimeKey] = r.Timestamp()
		}
		for _, kv := range attrs(r) {
			m[string(kv.Key)] = plain(kv.Value)
		}
		return m
	})
}

// oracle are calls whose records are those of otelslog. Where it has others,
// different says which, and why.
var oracle = []struct {
	name      string
	log       func(*slog.Logger)
	different string // what this package exports
}{
	{name: "a message", log: func(l *slog.Logger) { l.Info("m") }},
	{name: "attributes", log: func(l *slog.Logger) { l.Warn("m", "s", "x", "i", -1, "b", true, "f", 1.5, "u", uint(7)) }},
	{name: "more attributes than fit into a record", log: func(l *slog.Logger) {
		l.Error("m", "a", 1, "b", 2, "c", 3, "d", 4, "e", 5, "f", 6, "g", 7, "h", 8, "i", 9, "j", 10, "k", 11, "l", 12, "m", 13)
	}},
	{name: "a level between", log: func(l *slog.Logger) { l.Log(context.Background(), slog.LevelInfo+2, "m") }},
	{name: "attributes of the logger", log: func(l *slog.Logger) { l.With("a", 1).With("b", 2).Info("m", "c", 3) }},
	{name: "groups", log: func(l *slog.Logger) {
		l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Info("m", "c", 3, slog.Group("i", "d", 4))
	}},
	{name: "groups without attributes", log: func(l *slog.Logger) { l.With("a", 1).WithGroup("g").WithGroup("h").Info("m") }},
	{name: "a group in a group without attributes", log: func(l *slog.Logger) { l.WithGroup("g").With("b", 2).WithGroup("h").Info("m") }},
	{name: "an inline group", log: func(l *slog.Logger) { l.Info("m", slog.Group("", "a", 1, "b", 2)) }},
	{name: "an empty attribute", log: func(l *slog.Logger) { l.Info("m", slog.Attr{}, slog.Int("", 1)) }},
	{name: "a key twice", log: func(l *slog.Logger) { l.With("a", 1).Info("m", "a", 2, "a", 3) }},
	{name: "a duration", log: func(l *slog.Logger) { l.Info("m", "d", time.Second) }},
	{name: "nil", log: func(l *slog.Logger) { l.Info("m", "n", nil, "p", (*int)(nil)) }},
	{name: "bytes", log: func(l *slog.Logger) { l.Info("m", "b", []byte("x")) }},
	{name: "lists and maps", log: func(l *slog.Logger) {
		l.Info("m", "l", []any{1, "x", []string{"y"}}, "m", map[string]any{"k": 1}, "p", new(int), "a", [2]bool{true, false})
	}},
	{name: "an attribute of OpenTelemetry", log: func(l *slog.Logger) { l.Info("m", "v", attribute.StringSliceValue([]string{"x"})) }},
	{name: "a LogValuer", log: func(l *slog.Logger) { l.Info("m", "v", named("x"), slog.Group("g", "v", named("y"))) }},

	// The differences.
	{"an error keeps its key", func(l *slog.Logger) { l.Info("m", "err", errors.New("x")) }, "[err=x] exception *errors.errorString x"},
	{"the first error counts, not the last", func(l *slog.Logger) { l.With("a", errors.New("x")).Info("m", "b", errors.New("y")) }, "[a=x b=y] exception *errors.errorString x"},
	{"an error in a group counts", func(l *slog.Logger) { l.Info("m", slog.Group("g", "err", fmt.Errorf("w: %w", errors.New("x")))) }, `[g={"err":"w: x"}] exception *errors.errorString w: x`},
	{"a time is a text", func(l *slog.Logger) { l.Info("m", "t", time.Unix(0, 1).UTC()) }, "[t=1970-01-01T00:00:00.000000001Z]"},
	{"a large number keeps its digits", func(l *slog.Logger) { l.Info("m", "u", uint64(1<<64-1)) }, "[u=18446744073709551615]"},
	{"a struct is a map", func(l *slog.Logger) { l.Info("m", "s", struct{ A, b int }{1, 2}) }, `[s={"A":1}]`},
	{"named values are their kind", func(l *slog.Logger) { l.Info("m", "i", kind(1), "s", text("x")) }, "[i=1 s=x]"},
	{"a complex number is a text", func(l *slog.Logger) { l.Info("m", "c", 1+2i) }, "[c=(1+2i)]"},
	{"a nil list is nothing", func(l *slog.Logger) { l.Info("m", "l", []int(nil), "m", map[string]int(nil)) }, "[l= m=]"},
	{"a severity has a number", func(l *slog.Logger) { l.Log(context.Background(), 100, "m") }, "[] severity FATAL4"},
	{"an empty group is left out", func(l *slog.Logger) { l.Info("m", slog.Any("g", empty{})) }, "[]"},
}

type (
	kind  int
	text  string
	named string
	empty struct{}
)

func (n named) LogValue() slog.Value { return slog.StringValue("named " + string(n)) }
func (empty) LogValue() slog.Value   { return slog.GroupValue() }

// shown is all that a processor of the SDK gets of a record.
func shown(r *sdklog.Record) string {
	var all, exception []string
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		if kv.Key == "exception.type" || kv.Key == "exception.message" {
			exception = append(exception, kv.Value.String())
		} else {
			all = append(all, fmt.Sprintf("%s=%v", kv.Key, kv.Value.String()))
		}
		return true
	})
	slices.Sort(all)
	s := fmt.Sprint(all)
	if exception != nil {
		s += fmt.Sprintf(" exception %s %s", exception[1], exception[0])
	}
	if r.Severity() > log.SeverityError {
		s += " severity " + r.Severity().String()
	}
	return s
}

// kept is a processor that keeps the last record.
type kept struct{ last sdklog.Record }

func (*kept) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*kept) Shutdown(context.Context) error                         { return nil }
func (*kept) ForceFlush(context.Context) error                       { return nil }
func (k *kept) OnEmit(_ context.Context, r *sdklog.Record) error {
	k.last = r.Clone()
	return nil
}

func TestHandlerExportsWhatOtelslogDoes(t *testing.T) {
	for _, test := range oracle {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := &kept{}, &kept{}
			provider := func(k *kept) *sdklog.LoggerProvider { return sdklog.NewLoggerProvider(sdklog.WithProcessor(k)) }
			test.log(slog.New(sloghandler.New(provider(ours), "test", everything)))
			test.log(slog.New(otelslog.NewHandler("test", otelslog.WithLoggerProvider(provider(theirs)))))

			got, want := shown(&ours.last), shown(&theirs.last)
			if test.different != "" {
				if got == want {
					t.Errorf("otelslog exports %s as well: this is no difference any more", got)
				}
				want = test.different
			}
			if got != want {
				t.Errorf("exported %s\nwant     %s", got, want)
			}
			if a, b := ours.last, theirs.last; a.Body() != b.Body() || a.SeverityText() != b.SeverityText() || !a.Timestamp().Equal(b.Timestamp()) && a.Timestamp().Sub(b.Timestamp()).Abs() > time.Minute || a.InstrumentationScope() != b.InstrumentationScope() {
				t.Errorf("body, level, time and scope are %v %s %v %v, want those of %v %s %v %v", a.Body(), a.SeverityText(), a.Timestamp(), a.InstrumentationScope(), b.Body(), b.SeverityText(), b.Timestamp(), b.InstrumentationScope())
			}
		})
	}
}

func TestHandlerExportsWhatIsEnabled(t *testing.T) {
	exported := &recorder{}
	var least slog.LevelVar
	log := slog.New(sloghandler.New(exported, "test", sloghandler.From(&least)))
	for _, test := range []struct {
		least slog.Level
		want  int
	}{{slog.LevelInfo, 3}, {slog.LevelDebug, 4}, {slog.LevelError, 1}, {slog.LevelError + 1, 0}} {
		least.Set(test.least)
		log.Debug("m")
		log.Info("m")
		log.Warn("m")
		log.With("a", 1).WithGroup("g").Error("m")
		if got := len(exported.take()); got != test.want {
			t.Errorf("%d records from %v on, want %d", got, test.least, test.want)
		}
	}
	standard := sloghandler.New(nil, "test", nil)
	standard.Handle(t.Context(), slog.Record{}) //nolint:errcheck // it is not to panic
	if sloghandler.New(exported, "test", nil).Enabled(t.Context(), slog.LevelDebug) {
		t.Error("debug is exported unless somebody says so")
	}
}

func TestLoggersShareNothing(t *testing.T) {
	exported := &recorder{}
	base := slog.New(sloghandler.New(exported, "test", nil)).With("a", 1, "b", 2, "c", 3).WithGroup("g").With("d", 4)
	one, two := base.With("one", 1), base.With("two", 2)
	base.WithGroup("h").With("x", 1)
	for _, log := range []*slog.Logger{one, two, base} {
		log.Info("m", "e", 5)
	}
	var got []string
	for _, r := range exported.take() {
		all := attrs(r)
		got = append(got, all[len(all)-1].Value.String())
	}
	if want := []string{`{"d":4,"e":5,"one":1}`, `{"d":4,"e":5,"two":2}`, `{"d":4,"e":5}`}; !reflect.DeepEqual(got, want) {
		t.Errorf("groups %v, want %v", got, want)
	}
}

func TestBothExportsThenPrints(t *testing.T) {
	exported := &recorder{}
	failure := errors.New("full")
	printer := &stub{least: slog.LevelWarn, err: failure}
	h := sloghandler.Both(printer, sloghandler.New(exported, "test", nil))
	if h.Enabled(t.Context(), slog.LevelDebug) || !h.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("enabled for what neither wants, or not for what one does")
	}
	h = h.WithAttrs([]slog.Attr{slog.Int("a", 1)}).WithGroup("g")
	if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelInfo, "m", 0)); err != nil || printer.handled != 0 {
		t.Errorf("error %v; what is not to be printed was printed %d times", err, printer.handled)
	}
	if err := h.Handle(t.Context(), slog.NewRecord(time.Now(), slog.LevelWarn, "m", 0)); !errors.Is(err, failure) || printer.handled != 1 {
		t.Errorf("error %v, want that of the printing handler; printed %d times, want 1", err, printer.handled)
	}
	if got := len(exported.take()); got != 2 {
		t.Errorf("%d exported, want 2", got)
	}
}

// stub is a handler that counts.
type stub struct {
	least   slog.Level
	err     error
	handled int
}

func (s *stub) Enabled(_ context.Context, l slog.Level) bool { return l >= s.least }
func (s *stub) WithAttrs([]slog.Attr) slog.Handler           { return s }
func (s *stub) WithGroup(string) slog.Handler                { return s }
func (s *stub) Handle(context.Context, slog.Record) error    { s.handled++; return s.err }
