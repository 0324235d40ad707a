package auto

import (
	"context"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// open has the spans that have not ended. Those of responses whose bodies the
// program has left open, and of requests that it has not answered, end with it.
var open = &openSpans{spans: map[trace.SpanID]sdktrace.ReadWriteSpan{}}

// maxOpen bounds them, for a program that never closes a body.
const maxOpen = 10_000

type openSpans struct {
	mu    sync.Mutex
	spans map[trace.SpanID]sdktrace.ReadWriteSpan
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
	o.mu.Lock()
	delete(o.spans, s.SpanContext().SpanID())
	o.mu.Unlock()
}

func (o *openSpans) Shutdown(context.Context) error   { return nil }
func (o *openSpans) ForceFlush(context.Context) error { return nil }

func (o *openSpans) end() {
	o.mu.Lock()
	left := make([]sdktrace.ReadWriteSpan, 0, len(o.spans))
	for _, s := range o.spans {
		left = append(left, s)
	}
	o.mu.Unlock()
	for _, s := range left {
		s.End()
	}
}
