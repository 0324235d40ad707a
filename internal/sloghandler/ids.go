package sloghandler

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// TraceIDKey and SpanIDKey name the attributes of a printed record that hold
// the ids of the span it was logged in: OpenTelemetry, "Trace Context in
// non-OTLP Log Formats".
const (
	TraceIDKey = "trace_id"
	SpanIDKey  = "span_id"
)

// ids adds trace_id and span_id to the records that belong to a span. The ids
// stand at the top level, whatever groups are open, so that one search finds
// them in every program's output.
type ids struct {
	slog.Handler              // with groups and attributes applied
	base         slog.Handler // without
	groups       bool
	replay       func(slog.Handler) slog.Handler
}

// WithIDs returns a handler that adds the ids of the span that a record belongs
// to, and has h print it.
func WithIDs(h slog.Handler) slog.Handler {
	return &ids{Handler: h, base: h, replay: func(h slog.Handler) slog.Handler { return h }}
}

func (h *ids) Handle(ctx context.Context, r slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return h.Handler.Handle(ctx, r)
	}
	attrs := []slog.Attr{slog.String(TraceIDKey, sc.TraceID().String()), slog.String(SpanIDKey, sc.SpanID().String())}
	if h.groups {
		return h.replay(h.base.WithAttrs(attrs)).Handle(ctx, r)
	}
	r = r.Clone()
	r.AddAttrs(attrs...)
	return h.Handler.Handle(ctx, r)
}

func (h *ids) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(h.groups, func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h *ids) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(true, func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *ids) with(groups bool, step func(slog.Handler) slog.Handler) slog.Handler {
	before := h.replay
	return &ids{
		Handler: step(h.Handler),
		base:    h.base,
		groups:  groups,
		replay:  func(to slog.Handler) slog.Handler { return step(before(to)) },
	}
}
