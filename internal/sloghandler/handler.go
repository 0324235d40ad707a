// Package sloghandler makes the log of a program, as log/slog and log write it,
// also go to OpenTelemetry.
//
//   - [New] returns the handler that exports.
//   - [WithIDs] adds the ids of the span to what is printed.
//   - [Both] joins the two, and so does [AsPrinted].
//   - [SetDefault] makes the result the default of log/slog and of log.
//
// None of them panics because of what is logged, and none changes what the
// program's own handler is given, but for the ids.
package sloghandler

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/noop"
)

// Handler is a [slog.Handler] that exports to a [log.LoggerProvider]. It is safe
// for concurrent use.
//
// A value is exported as [slog.JSONHandler] would show it, with these
// exceptions, which are as [slog.TextHandler] shows them or keep more: an error
// is the text of its Error method at any depth, and a [fmt.Stringer] without a
// marshaler is the text of its String method, unless it is a field of a struct;
// a channel, a function and a complex number are text; numbers that are not
// finite stay numbers; bytes stay bytes.
//
// The first error among the attributes of a record, those of its logger before
// its own, also becomes exception.type and exception.message.
type Handler struct {
	logger  log.Logger
	enabled func(context.Context, slog.Level) bool
	attrs   []attribute.KeyValue // of the logger, outside of groups
	groups  []group              // that WithGroup has opened, the outermost first
	err     *exception           // the first in attrs and groups
}

// group is an open group, with the attributes that the logger has added to it.
type group struct {
	name  string
	attrs []attribute.KeyValue
}

// New returns a handler for the logger of the given name. Records for which
// enabled returns false are not exported; nil is that of [slog.LevelInfo]. A nil
// provider exports nothing.
func New(provider log.LoggerProvider, name string, enabled func(context.Context, slog.Level) bool) *Handler {
	if provider == nil {
		provider = noop.NewLoggerProvider()
	}
	if enabled == nil {
		enabled = From(slog.LevelInfo)
	}
	return &Handler{logger: provider.Logger(name), enabled: enabled}
}

// From enables the records of a level and above.
func From(least slog.Leveler) func(context.Context, slog.Level) bool {
	return func(_ context.Context, l slog.Level) bool { return l >= least.Level() }
}

// Enabled implements [slog.Handler].
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.enabled(ctx, l) && h.logger.Enabled(ctx, log.EnabledParameters{Severity: severity(l)})
}

// severity maps the levels of slog, whose distance is that of OpenTelemetry's
// severities: Logs Data Model, "Field: SeverityNumber". What lies outside of the
// range that is defined there gets the nearest.
func severity(l slog.Level) log.Severity {
	const offset = slog.Level(log.SeverityDebug) - slog.LevelDebug
	l = min(max(l, slog.Level(log.SeverityTrace1)-offset), slog.Level(log.SeverityFatal4)-offset)
	return log.Severity(l + offset)
}

// inlined is how many attributes of a record need no buffer on the heap.
const inlined = 12

// Handle implements [slog.Handler]. It never returns an error.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	var record log.Record
	record.SetTimestamp(r.Time)
	record.SetBody(attribute.StringValue(r.Message))
	record.SetSeverity(severity(r.Level))
	record.SetSeverityText(r.Level.String())

	c := converter{err: h.err}
	var buffer [inlined]attribute.KeyValue
	own := buffer[:0]
	if len(h.groups) == 0 {
		own = append(own, h.attrs...)
	}
	r.Attrs(func(a slog.Attr) bool {
		// What is simple stays out of the recursion, so that the buffer need
		// not be on the heap.
		if v, ok := simple(a.Value); ok {
			own = append(own, attribute.KeyValue{Key: attribute.Key(a.Key), Value: v})
		} else {
			own = append(own, c.attr(a)...)
		}
		return true
	})
	if c.err != nil {
		record.SetErr(c.err)
	}
	if len(h.groups) == 0 {
		record.AddAttributes(own...)
	} else {
		record.AddAttributes(h.attrs...)
		if grouped, ok := h.grouped(own); ok {
			record.AddAttributes(grouped)
		}
	}
	h.logger.Emit(ctx, record)
	return nil
}

// grouped puts attributes into the innermost group, that into the one around
// it, and so on. A group without attributes is left out, which can be all.
func (h *Handler) grouped(own []attribute.KeyValue) (outermost attribute.KeyValue, ok bool) {
	for _, g := range slices.Backward(h.groups) {
		members := make([]attribute.KeyValue, 0, len(g.attrs)+len(own)+1)
		members = append(members, g.attrs...)
		members = append(members, own...)
		own = nil // they are in
		if ok {
			members = append(members, outermost)
		}
		if ok = len(members) > 0; ok {
			outermost = attribute.Map(g.name, members...)
		}
	}
	return outermost, ok
}

// WithAttrs implements [slog.Handler]. The attributes are converted here, once.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := converter{err: h.err}
	var added []attribute.KeyValue
	for _, a := range attrs {
		added = append(added, c.attr(a)...)
	}
	with := *h
	with.err = c.err
	if last := len(h.groups) - 1; last < 0 {
		with.attrs = slices.Concat(h.attrs, added)
	} else {
		with.groups = slices.Clone(h.groups)
		with.groups[last].attrs = slices.Concat(h.groups[last].attrs, added)
	}
	return &with
}

// WithGroup implements [slog.Handler].
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.groups = append(slices.Clip(h.groups), group{name: name}) //nolint:gocritic // a copy, because of Clip
	return &with
}

// both hands records to two handlers.
type both struct {
	printed, exported slog.Handler
	same              bool // as AsPrinted has it
}

// Both returns a handler that exports each record, then prints it: a handler
// that blocks, or ends the goroutine, has kept nothing from being exported.
func Both(printed, exported slog.Handler) slog.Handler { return &both{printed, exported, false} }

// AsPrinted is [Both] where the printing handler alone says which records are
// exported, those that its WithAttrs and WithGroup return included: a handler may
// have another level for one component.
func AsPrinted(printed slog.Handler, exported *Handler) slog.Handler {
	return (&both{same: true}).with(printed, exported)
}

func (h *both) with(printed, exported slog.Handler) slog.Handler {
	if to, ok := exported.(*Handler); ok && h.same {
		as := *to
		as.enabled = printed.Enabled
		exported = &as
	}
	return &both{printed, exported, h.same}
}

func (h *both) Enabled(ctx context.Context, l slog.Level) bool {
	return h.printed.Enabled(ctx, l) || h.exported.Enabled(ctx, l)
}

func (h *both) Handle(ctx context.Context, r slog.Record) error {
	if h.exported.Enabled(ctx, r.Level) {
		h.exported.Handle(ctx, r) //nolint:errcheck // it returns none
	}
	if h.printed.Enabled(ctx, r.Level) {
		return h.printed.Handle(ctx, r)
	}
	return nil
}

func (h *both) WithAttrs(attrs []slog.Attr) slog.Handler {
	own := slices.Clone(attrs) // a handler may change what it gets
	return h.with(h.printed.WithAttrs(attrs), h.exported.WithAttrs(own))
}

func (h *both) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(h.printed.WithGroup(name), h.exported.WithGroup(name))
}
