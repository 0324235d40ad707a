package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// recordings are the errors and panics that spans under the context of [Main]'s
// run have recorded: the values themselves, so that one can be found again.
type recordings struct {
	mu   sync.Mutex
	last []recording // the newest at the end
}

type recording struct {
	span  trace.SpanContext
	value any // an error, or what a panic was called with
	panic bool
}

// maxRecordings bounds what is remembered.
const maxRecordings = 16

// recordingsKey is the key of the *recordings in the context of run.
type recordingsKey struct{}

func (r *recordings) add(one recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == maxRecordings {
		r.last = append(r.last[:0], r.last[1:]...)
	}
	r.last = append(r.last, one)
}

// find returns the span that recorded how the program failed: of an error the
// newest one, of a panic the innermost.
func (r *recordings) find(f failure) (span trace.SpanContext, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.last {
		if f.stack != "" {
			if !ok && one.panic && same(one.value, f.panicked) {
				span, ok = one.span, true
			}
		} else if err, isError := one.value.(error); isError && !one.panic && reflect.ValueOf(err).Comparable() && errors.Is(f.err, err) {
			span, ok = one.span, true
		}
	}
	return span, ok
}

// same compares what can be compared. Whether that is so depends on the values
// in interfaces too, not on the type alone.
func same(a, b any) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// watched makes a span remember what it records if it is run's, or below one
// that is. A span whose parent is a local one that is not watched is neither.
func watched(ctx context.Context, parent, span trace.Span) (context.Context, trace.Span) {
	var r *recordings
	if p, ok := parent.(*watchedSpan); ok {
		r = p.recordings
	} else if sc := parent.SpanContext(); !sc.IsValid() || sc.IsRemote() {
		r, _ = ctx.Value(recordingsKey{}).(*recordings)
	}
	if r == nil {
		return ctx, span
	}
	recording, ok := span.(sdktrace.ReadWriteSpan)
	if !ok {
		return ctx, span
	}
	w := &watchedSpan{recording, r}
	return trace.ContextWithSpan(ctx, w), w
}

// watchedSpan is a span of the SDK that remembers what it records.
type watchedSpan struct {
	sdktrace.ReadWriteSpan
	recordings *recordings
}

// RecordError implements [trace.Span].
func (s *watchedSpan) RecordError(err error, opts ...trace.EventOption) {
	if err != nil {
		s.recordings.add(recording{span: s.SpanContext(), value: err})
	}
	s.ReadWriteSpan.RecordError(err, opts...)
}

// End implements [trace.Span]. Deferred, it records a panic and lets it go on,
// as the SDK's does, which would not see it from here.
func (s *watchedSpan) End(opts ...trace.SpanEndOption) {
	v := recover()
	if v != nil {
		defer panic(v)
		s.recordings.add(recording{span: s.SpanContext(), value: v, panic: true})
		event := []trace.EventOption{trace.WithAttributes(
			semconv.ExceptionType(fmt.Sprintf("%T", v)), semconv.ExceptionMessage(fmt.Sprint(v)))}
		if config := trace.NewSpanEndConfig(opts...); config.StackTrace() {
			event = append(event, trace.WithAttributes(semconv.ExceptionStacktrace(string(debug.Stack()))))
		}
		s.AddEvent(semconv.ExceptionEventName, event...)
	}
	s.ReadWriteSpan.End(opts...)
}
