package otelsetup

import (
	"context"
	"strings"

	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// undecided is a propagator whose headers may leave it to the receiver whether a
// trace is sampled. The span context has no place for that, so that the context
// gets a mark, which [decider] reads.
//
// The span that is started decides, and what it decides is what goes on. Without
// a span the headers still leave it open.
type undecided struct {
	propagation.TextMapPropagator
	// open reports whether the headers that became the remote span of ctx leave it open.
	open func(ctx context.Context, carrier propagation.TextMapCarrier) bool
	// settle makes a context in which nothing but the mark says that it is open.
	settle func(ctx context.Context) context.Context
	// pass writes the headers that leave it open.
	pass func(sc trace.SpanContext, carrier propagation.TextMapCarrier)
}

// undecidedKey is the key of the remote span context that leaves it open.
type undecidedKey struct{}

// undecidedParent returns the span of ctx if it is a remote one that leaves it
// open.
func undecidedParent(ctx context.Context) (sc trace.SpanContext, ok bool) {
	sc = trace.SpanContextFromContext(ctx)
	if !sc.IsRemote() || sc.IsSampled() {
		return sc, false
	}
	marked, ok := ctx.Value(undecidedKey{}).(trace.SpanContext)
	return sc, ok && marked.Equal(sc)
}

// Extract implements [propagation.TextMapPropagator].
func (p undecided) Extract(ctx context.Context, carrier propagation.TextMapCarrier) context.Context {
	before := trace.SpanContextFromContext(ctx)
	ctx = p.TextMapPropagator.Extract(ctx, carrier)
	sc := trace.SpanContextFromContext(ctx)
	if sc.IsSampled() || sc.Equal(before) || !p.open(ctx, carrier) {
		return ctx
	}
	return context.WithValue(p.settle(ctx), undecidedKey{}, sc)
}

// Inject implements [propagation.TextMapPropagator].
func (p undecided) Inject(ctx context.Context, carrier propagation.TextMapCarrier) {
	if sc, ok := undecidedParent(ctx); ok {
		p.pass(sc, carrier)
		return
	}
	p.TextMapPropagator.Inject(ctx, carrier)
}

const b3Header = "b3"

// undecidedB3 is B3 in one encoding: B3 Propagation, "Sampling State". A missing
// state defers the decision to the receiver.
func undecidedB3(opts ...b3.Option) undecided {
	p, single := b3.New(opts...), b3.New(b3.WithInjectEncoding(b3.B3SingleHeader))
	return undecided{
		TextMapPropagator: p,
		open: func(ctx context.Context, _ propagation.TextMapCarrier) bool {
			said := propagation.MapCarrier{}
			single.Inject(ctx, said)
			return strings.Count(said.Get(b3Header), "-") == 1 // a trace and a span id
		},
		// Extract without headers takes its own mark back, and leaves the span.
		settle: func(ctx context.Context) context.Context { return p.Extract(ctx, propagation.MapCarrier{}) },
		pass: func(sc trace.SpanContext, carrier propagation.TextMapCarrier) {
			open := p.Extract(context.Background(), propagation.MapCarrier{b3Header: sc.TraceID().String() + "-" + sc.SpanID().String()})
			p.Inject(open, carrier)
		},
	}
}

const xrayHeader = "X-Amzn-Trace-Id"

// undecidedXRay is the header of AWS X-Ray: AWS X-Ray Developer Guide, "Tracing
// header". "Sampled=?" asks the receiver to decide, and so does a missing one.
func undecidedXRay() undecided {
	p := xray.Propagator{}
	return undecided{
		TextMapPropagator: p,
		open: func(_ context.Context, carrier propagation.TextMapCarrier) bool {
			for part := range strings.SplitSeq(carrier.Get(xrayHeader), ";") {
				if value, ok := strings.CutPrefix(strings.TrimSpace(part), "Sampled="); ok {
					return value == "?"
				}
			}
			return true
		},
		settle: func(ctx context.Context) context.Context { return ctx },
		pass: func(sc trace.SpanContext, carrier propagation.TextMapCarrier) {
			said := propagation.MapCarrier{}
			p.Inject(trace.ContextWithRemoteSpanContext(context.Background(), sc), said)
			for key, value := range said {
				carrier.Set(key, strings.Replace(value, "Sampled=0", "Sampled=?", 1))
			}
		},
	}
}

// decider is a sampler that decides on a trace that nobody has decided on as it
// does on one that begins here. The trace keeps its id, and the span its parent.
type decider struct{ sdktrace.Sampler }

// ShouldSample implements [sdktrace.Sampler].
func (d decider) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if sc, ok := undecidedParent(p.ParentContext); ok {
		p.ParentContext = trace.ContextWithSpanContext(p.ParentContext, trace.NewSpanContext(trace.SpanContextConfig{
			TraceFlags: sc.TraceFlags(), TraceState: sc.TraceState(),
		}))
	}
	return d.Sampler.ShouldSample(p)
}
