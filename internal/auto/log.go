package auto

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"reflect"
	"time"
	_ "unsafe" // for go:linkname

	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

//go:linkname hookRecord log/slog.clewRecord
var hookRecord func(ctx context.Context, h, mirror slog.Handler, r slog.Record) error

//go:linkname hookMirror log/slog.clewMirror
var hookMirror func(h slog.Handler) slog.Handler

//go:linkname hookOutput log.clewOutput
var hookOutput func(out io.Writer, message []byte) (suffix string)

// exporting is the handler that exports, and does not print.
var exporting slog.Handler

func installLog() {
	hookMirror = func(h slog.Handler) slog.Handler { return &mirror{Handler: exporting, base: h, again: unchanged} }
	hookRecord, hookOutput = record, printed
}

// programKey is in the context of a record that the program prints itself.
type programKey struct{}

func export(ctx context.Context, to slog.Handler, r slog.Record) {
	ctx = context.WithValue(ctx, programKey{}, true)
	if to.Enabled(ctx, r.Level) {
		to.Handle(ctx, r) //nolint:errcheck // telemetry reports its own problems
	}
}

// record exports a record of a slog.Logger, adds the ids of the span to it, and
// gives it to the logger's handler.
func record(ctx context.Context, h, m slog.Handler, r slog.Record) error {
	if current() == suppressed {
		return h.Handle(ctx, r)
	}
	traced := withParent(ctx)
	own, _ := m.(*mirror)
	if own == nil {
		export(traced, exporting, r.Clone())
	} else {
		export(traced, own.Handler, r.Clone())
	}
	span := trace.SpanContextFromContext(traced)
	if !span.IsValid() || !config.LogIDs || hasIDs(r) {
		return h.Handle(ctx, r)
	}
	ids := []slog.Attr{slog.String(otelsetup.TraceIDKey, span.TraceID().String()), slog.String(otelsetup.SpanIDKey, span.SpanID().String())}
	if own != nil && own.groups {
		return own.again(own.base.WithAttrs(ids)).Handle(ctx, r)
	}
	r = r.Clone()
	r.AddAttrs(ids...)
	return h.Handle(ctx, r)
}

// hasIDs reports whether the program has added a trace id by itself.
func hasIDs(r slog.Record) (found bool) {
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == otelsetup.TraceIDKey
		return !found
	})
	return found
}

// mirror follows the With and WithGroup of a slog.Logger: as a handler it is the
// one that exports, and it can do to the logger's handler again what was done,
// so that the ids stand outside of all groups.
type mirror struct {
	slog.Handler
	base   slog.Handler // the logger's, before
	groups bool
	again  func(slog.Handler) slog.Handler
}

func unchanged(h slog.Handler) slog.Handler { return h }

func (m *mirror) WithAttrs(attrs []slog.Attr) slog.Handler {
	return m.with(m.groups, func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (m *mirror) WithGroup(name string) slog.Handler {
	return m.with(true, func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (m *mirror) with(groups bool, step func(slog.Handler) slog.Handler) slog.Handler {
	before := m.again
	return &mirror{step(m.Handler), m.base, groups, func(h slog.Handler) slog.Handler { return step(before(h)) }}
}

// printed exports a message of a log.Logger, and returns what is written behind
// it.
func printed(out io.Writer, message []byte) string {
	if current() == suppressed || out != nil && reflect.TypeOf(out).String() == "*slog.handlerWriter" {
		return "" // of the latter, record gets the message
	}
	ctx := withParent(context.Background())
	export(ctx, exporting, slog.NewRecord(time.Now(), slog.LevelInfo, string(bytes.TrimSuffix(message, []byte("\n"))), 0))
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() || !config.LogIDs {
		return ""
	}
	return " " + otelsetup.TraceIDKey + "=" + span.TraceID().String() + " " + otelsetup.SpanIDKey + "=" + span.SpanID().String()
}
