package sampler

import (
	"context"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	scopeName = "github.com/clewtrace/clew/sampler"
	// The probability is exported for this many operations at most.
	maxOperationSeries = 100
)

// decisions counts the decisions of all samplers that export to one meter provider.
// They share the counts, so that the totals do not fall when one sampler is gone. A
// backend would take that for a counter that started anew.
type decisions struct {
	counts       sharded[struct{ kept, dropped atomic.Int64 }]
	provider     metric.MeterProvider
	registration metric.Registration // nil if the provider refused
	users        int                 // guarded by decisionsOf.mu
}

// decisionsOf holds the decisions of each meter provider while a sampler uses
// them.
var decisionsOf = struct {
	mu   sync.Mutex
	each map[metric.MeterProvider]*decisions
}{each: make(map[metric.MeterProvider]*decisions)}

func (d *decisions) count(shard uint8, kept bool) {
	c := &d.counts[shard%shards].value
	if kept {
		c.kept.Add(1)
	} else {
		c.dropped.Add(1)
	}
}

// countDecisions makes the decisions of c counted and exported until c is garbage,
// because the SDK does not shut samplers down.
func (c *composite) countDecisions(provider metric.MeterProvider) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	decisionsOf.mu.Lock()
	defer decisionsOf.mu.Unlock()
	shareable := reflect.ValueOf(provider).Comparable() // otherwise it cannot be the key of a map
	var d *decisions
	if shareable {
		d = decisionsOf.each[provider]
	}
	if d == nil {
		d = &decisions{provider: provider}
		if err := d.register(); err != nil {
			otel.Handle(err)
		}
		if shareable {
			decisionsOf.each[provider] = d
		}
	}
	d.users++
	c.decisions = d
	runtime.AddCleanup(c, (*decisions).release, d)
}

// release ends the export when the last sampler is gone.
func (d *decisions) release() {
	decisionsOf.mu.Lock()
	defer decisionsOf.mu.Unlock()
	if d.users--; d.users > 0 {
		return
	}
	if reflect.ValueOf(d.provider).Comparable() {
		delete(decisionsOf.each, d.provider)
	}
	if d.registration == nil {
		return
	}
	if err := d.registration.Unregister(); err != nil {
		otel.Handle(err)
	}
}

func (d *decisions) register() error {
	kept := metric.WithAttributeSet(attribute.NewSet(attribute.String("clew.sampler.decision", "kept")))
	dropped := metric.WithAttributeSet(attribute.NewSet(attribute.String("clew.sampler.decision", "dropped")))
	m := d.provider.Meter(scopeName)
	count, err := m.Int64ObservableCounter("clew.sampler.decisions",
		metric.WithUnit("{span}"),
		metric.WithDescription("Spans that the sampler decided about."))
	if err != nil {
		return err
	}
	// WithInt64Callback would not do: the SDK takes only its first callback for each
	// name.
	d.registration, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var k, n int64
		for i := range d.counts {
			k += d.counts[i].value.kept.Load()
			n += d.counts[i].value.dropped.Load()
		}
		o.ObserveInt64(count, k, kept)
		o.ObserveInt64(count, n, dropped)
		return nil
	}, count)
	return err
}

// registerMetrics registers metrics about a: its target, its load and the probabilities
// that follow from them.
func (a *Adaptive) registerMetrics() error {
	provider := a.cfg.MeterProvider
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m := provider.Meter(scopeName)
	target, err := m.Float64ObservableGauge("clew.sampler.target", metric.WithUnit("{trace}/s"),
		metric.WithDescription("Traces that this process aims to keep per second, after replicas and load."))
	if err != nil {
		return err
	}
	load, err := m.Float64ObservableGauge("clew.sampler.load", metric.WithUnit("1"),
		metric.WithDescription("The highest load signal, smoothed: 1 is the limit."))
	if err != nil {
		return err
	}
	probability, err := m.Float64ObservableGauge("clew.sampler.probability", metric.WithUnit("1"),
		metric.WithDescription("Probability with which the next span of an operation is kept."))
	if err != nil {
		return err
	}
	operations, err := m.Int64ObservableGauge("clew.sampler.operations", metric.WithUnit("{operation}"),
		metric.WithDescription("Operations that are told apart."))
	if err != nil {
		return err
	}
	a.registration, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		o.ObserveFloat64(target, a.target.load())
		o.ObserveFloat64(load, a.target.smoothed.Load())
		ops := a.ops.Load()
		o.ObserveInt64(operations, ops.len())
		now := a.budget.now()
		for op := range ops.some(maxOperationSeries) {
			p := a.threshold(a.budget.peek(op.age(now), op.interval.Load())).Probability()
			o.ObserveFloat64(probability, p, metric.WithAttributes(attribute.String("clew.sampler.operation", op.name)))
		}
		return nil
	}, target, load, probability, operations)
	return err
}
