package clewtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// An Option configures [Record].
type Option interface{ apply(*Recorder) }

type optionFunc func(*Recorder)

func (f optionFunc) apply(r *Recorder) { f(r) }

// Attributes has the attributes with these keys shown in the text of a span,
// in the given order, as in "GET /orders/{id} http.response.status_code=404".
// By default the text is the name alone.
func Attributes(keys ...string) Option {
	return optionFunc(func(r *Recorder) { r.shown = append(r.shown, keys...) })
}

// Sorted has spans with the same parent sorted by their text. By default they
// are in the order in which they started, which is left to chance if they start
// in different goroutines.
func Sorted() Option { return optionFunc(func(r *Recorder) { r.sorted = true }) }

// patience is how long a recorder waits for spans that have not ended. A server
// ends its span only after its client has read the answer.
const patience = 10 * time.Second

// A Recorder holds the spans of one test. It is safe for concurrent use.
type Recorder struct {
	t        testing.TB
	provider *sdktrace.TracerProvider
	shown    []string
	sorted   bool
	global   bool

	mu      sync.Mutex
	started []*record // in the order in which they started
	byID    map[trace.SpanID]*record
	traces  map[trace.TraceID]bool
	open    int
	idle    chan struct{} // closed when no span is open
}

// A record is one span; ended is nil until it has ended.
type record struct {
	name  string
	ended sdktrace.ReadOnlySpan
}

// Record returns a recorder that lasts until the test ends. All spans are
// recorded, whatever a sampler would say.
func Record(tb testing.TB, opts ...Option) *Recorder {
	tb.Helper()
	r := &Recorder{t: tb}
	for _, opt := range opts {
		opt.apply(r)
	}
	r.Reset()
	r.provider = sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithSpanProcessor(processor{r}),
	)
	if r.global {
		global.add(r)
	}
	tb.Cleanup(func() {
		if r.global {
			global.remove(r)
		}
		// Nothing is buffered, so that nothing can be lost here.
		_ = r.provider.Shutdown(context.Background())
	})
	return r
}

// TracerProvider returns the provider whose spans are recorded.
func (r *Recorder) TracerProvider() trace.TracerProvider { return r.provider }

// Context returns the context of the test. Spans that are started with it, or
// with a context made from it, belong to this recorder, also if the global
// tracer provider starts them: see [Global].
func (r *Recorder) Context() context.Context {
	return context.WithValue(r.t.Context(), recorderKey{}, r)
}

type recorderKey struct{}

// Reset forgets all spans, those that have not ended included.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started, r.open = nil, 0
	r.byID = make(map[trace.SpanID]*record)
	r.traces = make(map[trace.TraceID]bool)
	r.idle = make(chan struct{})
	close(r.idle)
}

// has reports whether spans of that trace were recorded.
func (r *Recorder) has(id trace.TraceID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.traces[id]
}

// A processor puts spans into a recorder.
type processor struct{ r *Recorder }

func (p processor) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	r := p.r
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &record{name: s.Name()}
	r.started = append(r.started, rec)
	r.byID[s.SpanContext().SpanID()] = rec
	r.traces[s.SpanContext().TraceID()] = true
	if r.open++; r.open == 1 {
		r.idle = make(chan struct{})
	}
}

func (p processor) OnEnd(s sdktrace.ReadOnlySpan) {
	r := p.r
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.byID[s.SpanContext().SpanID()]
	if rec == nil {
		return // started before Reset
	}
	rec.ended = s
	if r.open--; r.open == 0 {
		close(r.idle)
	}
}

func (processor) Shutdown(context.Context) error   { return nil }
func (processor) ForceFlush(context.Context) error { return nil }

// finished waits until all spans have ended and returns them in the order in
// which they started. It fails the test for those that have not ended in time.
func (r *Recorder) finished() (spans []sdktrace.ReadOnlySpan) {
	r.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for late := false; r.open > 0 && !late; {
		idle := r.idle
		r.mu.Unlock()
		select {
		case <-idle: // but another span may have started since
		case <-timer.C:
			late = true
		}
		r.mu.Lock()
	}
	var open []string
	for _, rec := range r.started {
		if rec.ended == nil {
			open = append(open, fmt.Sprintf("%q", rec.name))
			continue
		}
		spans = append(spans, rec.ended)
	}
	if open != nil {
		r.t.Errorf("spans that have not ended: %s", strings.Join(open, ", "))
	}
	return spans
}
