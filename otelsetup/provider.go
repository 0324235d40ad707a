package otelsetup

import (
	"context"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/clewtrace/clew/propagator/trust"
)

// tracers is the provider that Start makes global, the same one each time: the
// tracers that packages keep in variables belong to the first provider that was
// ever made global, and would be lost to every later one.
var tracers = &tracerProvider{}

// tracerProvider passes spans on to the SDK that is running.
type tracerProvider struct {
	embedded.TracerProvider
	sdk atomic.Pointer[sdktrace.TracerProvider] // nil: none is, and nothing is recorded
}

// Tracer implements [trace.TracerProvider].
func (p *tracerProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &tracer{provider: p, name: name, opts: opts}
}

// ForceFlush exports the spans that have ended.
func (p *tracerProvider) ForceFlush(ctx context.Context) error {
	if sdk := p.sdk.Load(); sdk != nil {
		return sdk.ForceFlush(ctx)
	}
	return nil
}

// tracer is a tracer of whichever SDK is running.
type tracer struct {
	embedded.Tracer
	provider *tracerProvider
	name     string
	opts     []trace.TracerOption
	last     atomic.Pointer[sdkTracer]
}

// sdkTracer is a tracer and the SDK that it belongs to.
type sdkTracer struct {
	trace.Tracer
	sdk *sdktrace.TracerProvider
}

// of returns the tracer of an SDK.
func (t *tracer) of(sdk *sdktrace.TracerProvider) trace.Tracer {
	last := t.last.Load()
	if last == nil || last.sdk != sdk {
		last = &sdkTracer{sdk.Tracer(t.name, t.opts...), sdk}
		t.last.Store(last)
	}
	return last
}

// flagRandom is the random-trace-id flag: Trace Context Level 2, "Random Trace
// ID Flag".
const flagRandom = trace.TraceFlags(0x02)

// randomParent is the parent of every root span: not a valid one, so that a
// new trace begins, but one whose flags the SDK copies. Ids are random, and the
// flag says so to every sampler downstream.
var randomParent = trace.SpanFromContext(trace.ContextWithSpanContext(context.Background(),
	trace.NewSpanContext(trace.SpanContextConfig{TraceFlags: flagRandom})))

// Start implements [trace.Tracer]. Root spans carry the random flag; spans that
// continue a trace keep the flag they received.
func (t *tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background()
	}
	sdk := t.provider.sdk.Load()
	if sdk == nil {
		return nooptrace.Tracer{}.Start(ctx, name, opts...)
	}
	parent := trace.SpanFromContext(ctx)
	if root := wantsNewRoot(opts); root || !parent.SpanContext().IsValid() {
		ctx = trace.ContextWithSpan(ctx, randomParent)
		if root {
			opts = withoutNewRoot(opts)
		}
	}
	ctx, span := t.of(sdk).Start(ctx, name, opts...)
	return watched(ctx, parent, span)
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
