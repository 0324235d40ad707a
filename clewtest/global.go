package clewtest

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/clewtrace/clew/propagator"
)

// Global has the recorder record what the global tracer provider starts, too,
// and sets the global propagator, so that traces continue across the servers
// and clients of the test. The previous ones are back when the test has ended.
//
// A span belongs to the recorder whose [Recorder.Context] it was started with,
// or else to the one that has recorded its parent, or else to the only recorder
// with this option. It is not recorded where several tests run in parallel and
// none of that says to which one it belongs.
func Global() Option { return optionFunc(func(r *Recorder) { r.global = true }) }

// global is the one router of the process: a tracer that a package obtained
// before any provider was set delegates to the first provider for good.
var global router

// A router is a tracer provider that hands each span to a recorder.
type router struct {
	embedded.TracerProvider

	mu         sync.Mutex
	recorders  []*Recorder
	lost       []string // names of spans that belong to no recorder
	provider   trace.TracerProvider
	propagator propagation.TextMapPropagator
}

// maxLost bounds the names that are remembered for a message.
const maxLost = 5

func (g *router) add(r *Recorder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.recorders) == 0 {
		g.provider, g.propagator = otel.GetTracerProvider(), otel.GetTextMapPropagator()
		otel.SetTracerProvider(g)
		otel.SetTextMapPropagator(propagator.New())
	}
	g.recorders = append(g.recorders, r)
}

func (g *router) remove(r *Recorder) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.recorders = slices.DeleteFunc(g.recorders, func(other *Recorder) bool { return other == r })
	if len(g.recorders) == 0 {
		g.lost = nil
		otel.SetTracerProvider(g.provider)
		otel.SetTextMapPropagator(g.propagator)
	}
}

// unclaimed returns the names of the first spans that belong to no recorder.
func (g *router) unclaimed() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.lost)
}

// providerFor returns the provider of the recorder to which a span belongs.
func (g *router) providerFor(ctx context.Context, name string) trace.TracerProvider {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r, _ := ctx.Value(recorderKey{}).(*Recorder); r != nil && slices.Contains(g.recorders, r) {
		return r.provider
	}
	if parent := trace.SpanContextFromContext(ctx); parent.IsValid() {
		for _, r := range g.recorders {
			if r.has(parent.TraceID()) {
				return r.provider
			}
		}
	}
	if len(g.recorders) == 1 {
		return g.recorders[0].provider
	}
	if len(g.recorders) > 1 && len(g.lost) < maxLost {
		g.lost = append(g.lost, strconv.Quote(name))
	}
	return noop.NewTracerProvider()
}

func (g *router) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &routedTracer{router: g, name: name, opts: opts}
}

type routedTracer struct {
	embedded.Tracer

	router *router
	name   string
	opts   []trace.TracerOption
}

func (t *routedTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background() // as the SDK does
	}
	return t.router.providerFor(ctx, name).Tracer(t.name, t.opts...).Start(ctx, name, opts...)
}
