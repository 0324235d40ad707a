package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Main runs a program with telemetry: it calls [Start], then run, then
// [Telemetry.Shutdown] within [ShutdownTimeout], and exits.
//
// SIGINT and SIGTERM cancel the context of run; a second signal ends the
// program at once. The exit code is 0 when run returned nil, 1 when it
// returned an error or panicked, and 128 plus the signal's number when a
// signal ended it. An error and a panic are logged with the ids of the span
// that recorded them; when none did, a span named "main" does.
//
// Main does not return. Functions deferred inside run are called before it
// exits.
func Main(run func(ctx context.Context) error) {
	os.Exit(runMain(run))
}

func runMain(run func(ctx context.Context) error) (code int) {
	failed := &failedSpan{}
	telemetry, err := Start(context.Background(), WithSpanProcessor(failed))
	if telemetry == nil {
		slog.Error("telemetry", slog.Any("error", err))
	}

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	var received atomic.Int32
	go func() {
		select {
		case s := <-signals:
			received.Store(int32(s.(syscall.Signal))) //nolint:gosec // a signal's number
			signal.Stop(signals)                      // the next one has its default effect
			stop()
		case <-ctx.Done():
		}
	}()

	stack, err := call(ctx, run)
	signal.Stop(signals)
	s := received.Load()
	switch {
	case s != 0 && (err == nil || errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed)):
		code = 128 + int(s)
	case err != nil:
		failed.log(err, stack)
		code = 1
	}
	if telemetry != nil {
		if err := telemetry.Shutdown(context.Background()); err != nil {
			slog.Error("telemetry not delivered", slog.Any("error", err))
		}
	}
	return code
}

// call returns run's error, or its panic as an error with a stack.
func call(ctx context.Context, run func(context.Context) error) (stack string, err error) {
	defer func() {
		if v := recover(); v != nil {
			stack, err = string(debug.Stack()), fmt.Errorf("panic: %v", v)
		}
	}()
	return "", run(ctx)
}

// failedSpan remembers the span that ended last with an error, so that the
// error that reaches [Main] can be logged where it was recorded.
type failedSpan struct{ last atomic.Pointer[failure] }

type failure struct {
	span     trace.SpanContext
	messages []string
}

// OnStart implements [sdktrace.SpanProcessor].
func (*failedSpan) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd implements [sdktrace.SpanProcessor].
func (f *failedSpan) OnEnd(s sdktrace.ReadOnlySpan) {
	var messages []string
	if s.Status().Code == codes.Error && s.Status().Description != "" {
		messages = append(messages, s.Status().Description)
	}
	for _, event := range s.Events() {
		for _, a := range event.Attributes {
			if a.Key == semconv.ExceptionMessageKey && a.Value.AsString() != "" {
				messages = append(messages, a.Value.AsString())
			}
		}
	}
	if messages != nil {
		f.last.Store(&failure{s.SpanContext(), messages})
	}
}

// Shutdown implements [sdktrace.SpanProcessor].
func (*failedSpan) Shutdown(context.Context) error { return nil }

// ForceFlush implements [sdktrace.SpanProcessor].
func (*failedSpan) ForceFlush(context.Context) error { return nil }

// log logs err inside the span that recorded it.
func (f *failedSpan) log(err error, stack string) {
	attrs := []slog.Attr{slog.Any("error", err)}
	if stack != "" {
		attrs = append(attrs, slog.String("stack", stack))
	}
	ctx := context.Background()
	if last := f.last.Load(); last != nil && last.recorded(err) {
		ctx = trace.ContextWithSpanContext(ctx, last.span)
	} else {
		var span trace.Span
		ctx, span = otel.Tracer(instrumentationName).Start(ctx, "main")
		defer span.End()
		var opts []trace.EventOption
		if stack != "" {
			opts = append(opts, trace.WithAttributes(semconv.ExceptionStacktrace(stack)))
		}
		span.RecordError(err, opts...)
		span.SetStatus(codes.Error, err.Error())
	}
	slog.LogAttrs(ctx, slog.LevelError, "program failed", attrs...)
}

// recorded reports whether err is, or wraps, what the span recorded.
func (f *failure) recorded(err error) bool {
	for _, m := range f.messages {
		if strings.Contains(err.Error(), m) {
			return true
		}
	}
	return false
}
