package otelsetup

import (
	"context"
	"slices"
	"sync/atomic"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/embedded"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// loggers is the provider that Start makes global, the same one each time, for
// the reason that [tracers] has.
var loggers = &loggerProvider{}

// loggerProvider passes log records on to the SDK that is running.
type loggerProvider struct {
	embedded.LoggerProvider
	sdk atomic.Pointer[sdklog.LoggerProvider] // nil: none is, and nothing is recorded
}

// Logger implements [log.LoggerProvider].
func (p *loggerProvider) Logger(name string, opts ...log.LoggerOption) log.Logger {
	return &logger{provider: p, name: name, opts: slices.Clone(opts)}
}

// ForceFlush exports the records that were emitted.
func (p *loggerProvider) ForceFlush(ctx context.Context) error {
	if sdk := p.sdk.Load(); sdk != nil {
		return sdk.ForceFlush(ctx)
	}
	return nil
}

// logger is a logger of whichever SDK is running.
type logger struct {
	embedded.Logger
	provider *loggerProvider
	name     string
	opts     []log.LoggerOption
	last     atomic.Pointer[sdkLogger]
}

// sdkLogger is a logger and the SDK that it belongs to.
type sdkLogger struct {
	log.Logger
	sdk *sdklog.LoggerProvider
}

// running returns the logger of the SDK that is running, and nil if none is.
func (l *logger) running() log.Logger {
	sdk := l.provider.sdk.Load()
	if sdk == nil {
		return nil
	}
	last := l.last.Load()
	if last == nil || last.sdk != sdk {
		last = &sdkLogger{sdk.Logger(l.name, l.opts...), sdk}
		l.last.Store(last)
	}
	return last.Logger
}

// Emit implements [log.Logger].
func (l *logger) Emit(ctx context.Context, r log.Record) {
	if to := l.running(); to != nil {
		to.Emit(ctx, r)
	}
}

// Enabled implements [log.Logger].
func (l *logger) Enabled(ctx context.Context, p log.EnabledParameters) bool {
	to := l.running()
	return to != nil && to.Enabled(ctx, p)
}
