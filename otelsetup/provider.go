package otelsetup

import (
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/clewtrace/clew/propagator/trust"
)

// flagRandom is the random-trace-id flag of Trace Context Level 2, section
// "Random Trace ID Flag".
const flagRandom = trace.TraceFlags(0x02)

// randomParent is the parent of every root span: not a valid one, so that a
// new trace begins, but one whose flags the SDK copies.
var randomParent = trace.SpanFromContext(trace.ContextWithSpanContext(context.Background(),
	trace.NewSpanContext(trace.SpanContextConfig{TraceFlags: flagRandom})))

// TracerProvider is the SDK's provider, whose root spans carry the random
// flag: their ids are random, and the flag says so to every sampler
// downstream. Spans that continue a trace keep the flag they received.
//
// Its tracers outlive it: after [Telemetry.Shutdown] they record nothing, and
// after another [Start] they record there. The tracers that packages keep in
// variables belong to the first provider that was made global, and would be
// lost to every later one.
type TracerProvider struct {
	embedded.TracerProvider
	sdk     *sdktrace.TracerProvider
	stopped atomic.Bool
}

// Tracer implements [trace.TracerProvider].
func (p *TracerProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &tracer{provider: p, sdk: p.sdk.Tracer(name, opts...), name: name, opts: opts}
}

// ForceFlush exports the spans that have ended.
func (p *TracerProvider) ForceFlush(ctx context.Context) error { return p.sdk.ForceFlush(ctx) }

// RegisterSpanProcessor adds a processor, which sees the spans that start from
// now on.
func (p *TracerProvider) RegisterSpanProcessor(sp sdktrace.SpanProcessor) {
	p.sdk.RegisterSpanProcessor(sp)
}

// linkCaller links the first span behind a trust boundary to what the caller
// sent.
type linkCaller struct{}

func (linkCaller) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	if !s.Parent().IsValid() {
		trust.Link(ctx, s)
	}
}

func (linkCaller) OnEnd(sdktrace.ReadOnlySpan)      {}
func (linkCaller) Shutdown(context.Context) error   { return nil }
func (linkCaller) ForceFlush(context.Context) error { return nil }

type tracer struct {
	embedded.Tracer
	provider *TracerProvider
	sdk      trace.Tracer
	name     string
	opts     []trace.TracerOption
	next     atomic.Pointer[tracer] // of a later provider
}

// later is the tracer of the provider that is global now. It is nil if that is
// none of ours, or one that has been shut down.
func (t *tracer) later() *tracer {
	now, ok := otel.GetTracerProvider().(*TracerProvider)
	if !ok || now.stopped.Load() {
		return nil
	}
	next := t.next.Load()
	if next == nil || next.provider != now {
		next = &tracer{provider: now, sdk: now.sdk.Tracer(t.name, t.opts...)}
		t.next.Store(next)
	}
	return next
}

func (t *tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t.provider.stopped.Load() {
		if next := t.later(); next != nil {
			return next.Start(ctx, name, opts...)
		}
		return nooptrace.Tracer{}.Start(ctx, name, opts...)
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if root := wantsNewRoot(opts); root || !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = trace.ContextWithSpan(ctx, randomParent)
		if root {
			opts = withoutNewRoot(opts)
		}
	}
	return t.sdk.Start(ctx, name, opts...)
}

// wantsNewRoot reports whether [trace.WithNewRoot] is among the options.
// Options that events or the end of a span take too cannot be it, and applying
// them (attributes, above all) would cost something.
func wantsNewRoot(opts []trace.SpanStartOption) bool {
	for _, opt := range opts {
		if _, shared := opt.(trace.EventOption); shared {
			continue
		}
		if cfg := trace.NewSpanStartConfig(opt); cfg.NewRoot() {
			return true
		}
	}
	return false
}

// withoutNewRoot leaves out the option that makes the SDK forget the parent,
// and the random flag with it.
func withoutNewRoot(opts []trace.SpanStartOption) []trace.SpanStartOption {
	kept := make([]trace.SpanStartOption, 0, len(opts))
	for _, opt := range opts {
		if !wantsNewRoot([]trace.SpanStartOption{opt}) {
			kept = append(kept, opt)
		}
	}
	return kept
}
