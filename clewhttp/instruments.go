package clewhttp

import (
	"context"
	"maps"
	"reflect"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of spans and metrics.
const scope = "github.com/clewtrace/clew/clewhttp"

// tracers keeps the tracer of the provider in use, which may change.
type tracers struct {
	provider func() trace.TracerProvider
	current  atomic.Pointer[tracerOf]
}

type tracerOf struct {
	known[trace.TracerProvider]
	tracer trace.Tracer
}

func newTracers(provider func() trace.TracerProvider) *tracers { return &tracers{provider: provider} }

func (t *tracers) get() trace.Tracer {
	p := t.provider()
	if c := t.current.Load(); c != nil && c.is(p) {
		return c.tracer
	}
	c := &tracerOf{known[trace.TracerProvider]{p, reflect.ValueOf(p).Comparable()}, p.Tracer(scope)}
	t.current.Store(c)
	return c.tracer
}

// meters keeps what is made from the meter of the provider in use.
type meters[T any] struct {
	provider func() metric.MeterProvider
	build    func(metric.Meter) *T
	current  atomic.Pointer[meterOf[T]]
}

type meterOf[T any] struct {
	known[metric.MeterProvider]
	made *T
}

func (m *meters[T]) get() *T {
	p := m.provider()
	if c := m.current.Load(); c != nil && c.is(p) {
		return c.made
	}
	c := &meterOf[T]{known[metric.MeterProvider]{p, reflect.ValueOf(p).Comparable()}, m.build(p.Meter(scope))}
	m.current.Store(c)
	return c.made
}

// known is a provider that something was made from. One that cannot be compared
// with others is taken for all of them.
type known[P comparable] struct {
	provider   P
	comparable bool
}

func (k known[P]) is(p P) bool { return !k.comparable || k.provider == p }

// durationBounds are those of Semantic Conventions 1.43.0, "HTTP metrics".
var durationBounds = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

func durationHistogram(m metric.Meter, name, description string) metric.Float64Histogram {
	h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), durationBounds)
	if err != nil {
		otel.Handle(err)
	}
	return h
}

func sizeHistogram(m metric.Meter, name, description string) metric.Int64Histogram {
	h, err := m.Int64Histogram(name, metric.WithUnit("By"), metric.WithDescription(description))
	if err != nil {
		otel.Handle(err)
	}
	return h
}

// seriesCache keeps the attribute sets of metrics: making one costs more than
// the rest of a measurement. Readers do not lock. A set that is new when the
// cache is full is made each time; the SDK has its own limit then.
type seriesCache[K comparable] struct {
	sets atomic.Pointer[map[K][]metric.RecordOption]
}

const maxSeries = 2048

func (c *seriesCache[K]) get(key K, attrs func(K) []attribute.KeyValue) []metric.RecordOption {
	for {
		old := c.sets.Load()
		if old != nil {
			if options, ok := (*old)[key]; ok {
				return options
			}
		}
		options := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs(key)...))}
		size := 0
		if old != nil {
			size = len(*old)
		}
		if size >= maxSeries {
			return options
		}
		sets := make(map[K][]metric.RecordOption, size+1)
		if old != nil {
			maps.Copy(sets, *old)
		}
		sets[key] = options
		if c.sets.CompareAndSwap(old, &sets) {
			return options
		}
	}
}

// enabled reports whether anybody listens to the duration.
func enabled(ctx context.Context, h metric.Float64Histogram) bool { return h != nil && h.Enabled(ctx) }
