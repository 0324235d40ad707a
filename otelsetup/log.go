package otelsetup

import (
	"context"
	"log/slog"
	"math"
	"os"

	"github.com/clewtrace/clew/internal/sloghandler"
)

// TraceIDKey and SpanIDKey name the attributes of a printed record that hold
// the ids of the span it was logged in: OpenTelemetry, "Trace Context in
// non-OTLP Log Formats".
const (
	TraceIDKey = sloghandler.TraceIDKey
	SpanIDKey  = sloghandler.SpanIDKey
)

// newPrinter is the handler that prints when none was given with
// [WithLogHandler].
func newPrinter() slog.Handler { return slog.NewTextHandler(os.Stderr, nil) }

// exported says which records are exported: from the level that is set, or else
// what the handler that prints lets through, and then it is nil. Where nothing is
// printed, that is what slog prints unless it is told otherwise.
func (b *builder) exported() func(context.Context, slog.Level) bool {
	if least := b.settings.LogExportLevel; least != nil {
		return sloghandler.From(least)
	}
	if !b.settings.PrintLogs || !b.config.printer.Enabled(context.Background(), math.MaxInt) {
		return sloghandler.From(slog.LevelInfo)
	}
	return nil
}
