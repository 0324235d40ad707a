package auto

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// open has the spans that have not ended. Those of responses whose bodies the
// program has left open, and of requests that it has not answered, end with it.
var open = &openSpans{spans: map[trace.SpanID]sdktrace.ReadWriteSpan{}}

// maxOpen bounds them, for a program that never closes a body.
const maxOpen = 10_000

type openSpans struct {
	mu        sync.Mutex
	spans     map[trace.SpanID]sdktrace.ReadWriteSpan
	exporting int64        // the processors that export
	ended     atomic.Int64 // how often they are told of the end of a span
	exported  atomic.Int64 // how often they have been
}

// exports is a processor that exports.
type exports struct {
	sdktrace.SpanProcessor
	open *openSpans
}

func (e exports) OnEnd(s sdktrace.ReadOnlySpan) {
	e.SpanProcessor.OnEnd(s)
	e.open.exported.Add(1)
}

// watch notes when p has been told of the end of a span.
func (o *openSpans) watch(p sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error) {
	o.exporting++
	return exports{p, o}, nil
}

// OnStart also links the first span of a goroutine that has outlived its own.
func (o *openSpans) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	if ended, ok := ctx.Value(endedKey{}).(trace.SpanContext); ok && !s.Parent().IsValid() {
		s.AddLink(trace.Link{SpanContext: ended})
	}
	o.mu.Lock()
	if len(o.spans) < maxOpen {
		o.spans[s.SpanContext().SpanID()] = s
	}
	o.mu.Unlock()
}

func (o *openSpans) OnEnd(s sdktrace.ReadOnlySpan) {
	o.ended.Add(o.exporting)
	o.mu.Lock()
	delete(o.spans, s.SpanContext().SpanID())
	o.mu.Unlock()
}

func (o *openSpans) Shutdown(context.Context) error   { return nil }
func (o *openSpans) ForceFlush(context.Context) error { return nil }

// end ends them, and waits for what other goroutines are ending.
func (o *openSpans) end(ctx context.Context) {
	o.mu.Lock()
	left := make([]sdktrace.ReadWriteSpan, 0, len(o.spans))
	for _, s := range o.spans {
		left = append(left, s)
	}
	o.mu.Unlock()
	for _, s := range left {
		s.End()
	}
	wait := func(until func() bool) {
		for !until() && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	wait(func() bool { return !o.hasAny(left) })
	ended := o.ended.Load()
	wait(func() bool { return o.exported.Load() >= ended })
}

// hasAny reports whether one of these spans is still there.
func (o *openSpans) hasAny(of []sdktrace.ReadWriteSpan) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(of, func(s sdktrace.ReadWriteSpan) bool { return o.spans[s.SpanContext().SpanID()] != nil })
}
