package sampler

import (
	"context"
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

func meter(provider metric.MeterProvider) metric.Meter {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	return provider.Meter(scopeName)
}

// decisions counts what was decided.
type decisions struct{ kept, dropped atomic.Int64 }

func (c *composite) count(shard uint8, kept bool) {
	d := &c.decisions[shard%shards].value
	if kept {
		d.kept.Add(1)
	} else {
		d.dropped.Add(1)
	}
}

func (c *composite) registerMetrics(provider metric.MeterProvider) {
	kept := metric.WithAttributeSet(attribute.NewSet(attribute.String("clew.sampler.decision", "kept")))
	dropped := metric.WithAttributeSet(attribute.NewSet(attribute.String("clew.sampler.decision", "dropped")))
	m := meter(provider)
	count, err := m.Int64ObservableCounter("clew.sampler.decisions",
		metric.WithUnit("{span}"),
		metric.WithDescription("Spans that the sampler decided about."))
	if err == nil {
		// Not by WithInt64Callback, of which the SDK takes the first for each name.
		_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			var k, d int64
			for i := range c.decisions {
				k += c.decisions[i].value.kept.Load()
				d += c.decisions[i].value.dropped.Load()
			}
			o.ObserveInt64(count, k, kept)
			o.ObserveInt64(count, d, dropped)
			return nil
		}, count)
	}
	if err != nil {
		otel.Handle(err)
	}
}

// registerMetrics exports what an operator wants to know about a: what it aims
// at, why, and which probabilities follow.
func (a *Adaptive) registerMetrics() error {
	m := meter(a.cfg.MeterProvider)
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
