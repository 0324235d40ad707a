package auto

import (
	"context"
	"sync"
	"sync/atomic"
	"unsafe"

	"net/http"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// The runtime keeps one pointer for each goroutine, hands it to those that it
// starts, and drops it when the goroutine ends.
//
//go:linkname clewGet runtime.clewGet
func clewGet() unsafe.Pointer

//go:linkname clewSet runtime.clewSet
func clewSet(p unsafe.Pointer)

// scope is what a goroutine, and those that it starts, belong to. It has ids
// and no span, so that a goroutine that lives on keeps nothing else alive.
type scope struct {
	shared  uint32 // not 0: other goroutines have it too, or will; the runtime sets it
	span    trace.SpanContext
	baggage baggage.Baggage
	ended   atomic.Bool
	named   atomic.Bool  // the span is named by the call that the request serves
	serves  http.Handler // until the span is there
}

var (
	// suppressed is that of the SDK's own goroutines: nothing there is recorded.
	suppressed = &scope{}
	// untraced is that of health checks: there are no spans.
	untraced = &scope{}
)

func current() *scope { return (*scope)(clewGet()) }

func enter(s *scope) { clewSet(unsafe.Pointer(s)) } //nolint:gosec // the runtime keeps it as such

// scopes are those that no goroutine has had but the one that serves the request.
var scopes = sync.Pool{New: func() any { return new(scope) }}

// leave ends a scope of a request, after which before counts again.
func (s *scope) leave(before *scope) {
	enter(before)
	if s.shared != 0 {
		s.ended.Store(true)
		return
	}
	*s = scope{}
	scopes.Put(s)
}

// within runs f in a scope.
func within(s *scope, f func()) {
	before := current()
	enter(s)
	defer enter(before)
	f()
}

// hasSpans reports whether spans may be made in this scope.
func (s *scope) hasSpans() bool { return s != suppressed && s != untraced }

// endedKey is the key of the span of a goroutine that has outlived it. What the
// goroutine does begins a new trace, which is linked to that span.
type endedKey struct{}

// withParent returns ctx with the span that something new in it belongs to: that
// of ctx if it has one, or else that of the goroutine.
func withParent(ctx context.Context) context.Context {
	own := trace.SpanContextFromContext(ctx)
	if bridge != nil {
		if joined := bridge.Span(ctx); joined.IsValid() && !joined.Equal(own) {
			return trace.ContextWithSpanContext(ctx, joined)
		}
	}
	if own.IsValid() {
		return ctx
	}
	s := current()
	if s == nil || !s.span.IsValid() {
		return ctx
	}
	if s.ended.Load() {
		return context.WithValue(ctx, endedKey{}, s.span)
	}
	ctx = trace.ContextWithSpanContext(ctx, s.span)
	if s.baggage.Len() > 0 && baggage.FromContext(ctx).Len() == 0 {
		ctx = baggage.ContextWithBaggage(ctx, s.baggage)
	}
	return ctx
}
