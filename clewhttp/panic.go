package clewhttp

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Values of error.type for what has no error of its own.
const (
	otherError  = "_OTHER"
	panicError  = "panic" // a panic with something that is no error
	abortError  = "http.ErrAbortHandler"
	goexitError = "runtime.Goexit" // the goroutine was ended, as testing.T.FailNow does
)

// finishPanic records a request whose handler did not return. v is nil if the
// goroutine is about to exit.
func (x *exchange) finishPanic(v any) {
	switch v {
	case nil:
		x.finish(goexitError, goexitError)
	case http.ErrAbortHandler:
		x.finish(abortError, http.ErrAbortHandler.Error())
	default:
		err, ok := v.(error)
		failure := panicError
		if ok {
			failure = errorType(err)
		} else {
			err = fmt.Errorf("%v", v)
		}
		if x.recording {
			x.recordPanic(err)
		}
		x.finish(failure, "panic: "+err.Error())
	}
}

// recordPanic puts a panic on the span, and into the log.
func (x *exchange) recordPanic(err error) {
	stack := string(debug.Stack())
	x.span.RecordError(fmt.Errorf("panic: %w", err), trace.WithAttributes(semconv.ExceptionStacktrace(stack)))
	if x.server.patched != nil {
		return // the server logs it, as it would without a Handler
	}
	slog.ErrorContext(x.ctx, "panic", slog.Any("error", err), slog.String("stack", stack))
}

// errorType is the error.type of err: its type, or what its method ErrorType
// says, below the wrappings of package fmt.
func errorType(err error) string { return semconv.ErrorType(err).Value.AsString() }

// setFailure marks a span as failed.
func setFailure(span trace.Span, failure, description string) {
	span.SetStatus(codes.Error, description)
	span.SetAttributes(attributeErrorType(failure))
}

func attributeErrorType(failure string) attribute.KeyValue {
	return semconv.ErrorTypeKey.String(failure)
}

func invalidStatus(status int) string { return "invalid HTTP status " + strconv.Itoa(status) }
