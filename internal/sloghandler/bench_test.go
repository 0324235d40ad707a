package sloghandler_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/clewtrace/clew/internal/sloghandler"
)

// discarding is a processor that drops everything.
type discarding struct{}

func (discarding) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (discarding) OnEmit(context.Context, *sdklog.Record) error           { return nil }
func (discarding) Shutdown(context.Context) error                         { return nil }
func (discarding) ForceFlush(context.Context) error                       { return nil }

var errLogged = errors.New("x")

// programLines are what a program logs.
var programLines = []struct {
	name   string
	allocs float64 // beside those of slog and the SDK
	log    func(context.Context, *slog.Logger)
}{
	{"message", 0, func(ctx context.Context, l *slog.Logger) { l.InfoContext(ctx, "request") }},
	{"5 attributes", 0, func(ctx context.Context, l *slog.Logger) {
		l.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("method", "GET"), slog.String("path", "/a"), slog.Int("status", 200), slog.Duration("took", time.Second), slog.Bool("tls", true))
	}},
	{"5 attributes and 3 of the logger", 1, func(ctx context.Context, l *slog.Logger) {
		l.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("method", "GET"), slog.String("path", "/a"), slog.Int("status", 200), slog.Duration("took", time.Second), slog.Bool("tls", true))
	}},
	{"group", 2, func(ctx context.Context, l *slog.Logger) {
		l.LogAttrs(ctx, slog.LevelInfo, "request", slog.String("method", "GET"), slog.String("path", "/a"), slog.Int("status", 200))
	}},
	{"error", 3, func(ctx context.Context, l *slog.Logger) {
		l.LogAttrs(ctx, slog.LevelError, "request", slog.Any("error", errLogged))
	}},
}

func loggerFor(name string, h slog.Handler) *slog.Logger {
	l := slog.New(h)
	switch name {
	case "group":
		return l.WithGroup("http")
	case "5 attributes and 3 of the logger":
		return l.With("service", "a", "version", "b", "region", "c")
	}
	return l
}

// BenchmarkHandle has the handlers alone, and above the SDK with a processor that
// drops everything.
func BenchmarkHandle(b *testing.B) {
	sdk := sdklog.NewLoggerProvider(sdklog.WithProcessor(discarding{}))
	for _, line := range programLines {
		for _, provider := range []log.LoggerProvider{dropping{}, sdk} {
			under := "alone"
			if provider == log.LoggerProvider(sdk) {
				under = "sdk"
			}
			for _, h := range []slog.Handler{
				sloghandler.New(provider, "bench", nil),
				otelslog.NewHandler("bench", otelslog.WithLoggerProvider(provider)),
			} {
				b.Run(fmt.Sprintf("%s/%s/%T", line.name, under, h), func(b *testing.B) {
					l := loggerFor(line.name, h)
					b.ReportAllocs()
					for b.Loop() {
						line.log(b.Context(), l)
					}
				})
			}
		}
	}
}
