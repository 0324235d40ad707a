package otelsetup

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/embedded"
	"go.opentelemetry.io/otel/metric/noop"
)

// The instruments, one type for each interface of package metric.

type (
	int64Counter struct {
		embedded.Int64Counter
		instrument[metric.Int64Counter]
	}
	int64UpDownCounter struct {
		embedded.Int64UpDownCounter
		instrument[metric.Int64UpDownCounter]
	}
	int64Histogram struct {
		embedded.Int64Histogram
		instrument[metric.Int64Histogram]
	}
	int64Gauge struct {
		embedded.Int64Gauge
		instrument[metric.Int64Gauge]
	}
	float64Counter struct {
		embedded.Float64Counter
		instrument[metric.Float64Counter]
	}
	float64UpDownCounter struct {
		embedded.Float64UpDownCounter
		instrument[metric.Float64UpDownCounter]
	}
	float64Histogram struct {
		embedded.Float64Histogram
		instrument[metric.Float64Histogram]
	}
	float64Gauge struct {
		embedded.Float64Gauge
		instrument[metric.Float64Gauge]
	}
	int64ObservableCounter struct {
		noop.Int64ObservableCounter
		instrument[metric.Int64ObservableCounter]
	}
	int64ObservableUpDownCounter struct {
		noop.Int64ObservableUpDownCounter
		instrument[metric.Int64ObservableUpDownCounter]
	}
	int64ObservableGauge struct {
		noop.Int64ObservableGauge
		instrument[metric.Int64ObservableGauge]
	}
	float64ObservableCounter struct {
		noop.Float64ObservableCounter
		instrument[metric.Float64ObservableCounter]
	}
	float64ObservableUpDownCounter struct {
		noop.Float64ObservableUpDownCounter
		instrument[metric.Float64ObservableUpDownCounter]
	}
	float64ObservableGauge struct {
		noop.Float64ObservableGauge
		instrument[metric.Float64ObservableGauge]
	}
)

// Int64Counter implements [metric.Meter].
func (m *meter) Int64Counter(name string, opts ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	opts = slices.Clone(opts)
	i := &int64Counter{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Int64Counter, error) { return to.Int64Counter(name, opts...) })
}

// Int64UpDownCounter implements [metric.Meter].
func (m *meter) Int64UpDownCounter(name string, opts ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	opts = slices.Clone(opts)
	i := &int64UpDownCounter{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Int64UpDownCounter, error) { return to.Int64UpDownCounter(name, opts...) })
}

// Int64Histogram implements [metric.Meter].
func (m *meter) Int64Histogram(name string, opts ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	opts = slices.Clone(opts)
	i := &int64Histogram{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Int64Histogram, error) { return to.Int64Histogram(name, opts...) })
}

// Int64Gauge implements [metric.Meter].
func (m *meter) Int64Gauge(name string, opts ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	opts = slices.Clone(opts)
	i := &int64Gauge{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Int64Gauge, error) { return to.Int64Gauge(name, opts...) })
}

// Float64Counter implements [metric.Meter].
func (m *meter) Float64Counter(name string, opts ...metric.Float64CounterOption) (metric.Float64Counter, error) {
	opts = slices.Clone(opts)
	i := &float64Counter{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Float64Counter, error) { return to.Float64Counter(name, opts...) })
}

// Float64UpDownCounter implements [metric.Meter].
func (m *meter) Float64UpDownCounter(name string, opts ...metric.Float64UpDownCounterOption) (metric.Float64UpDownCounter, error) {
	opts = slices.Clone(opts)
	i := &float64UpDownCounter{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Float64UpDownCounter, error) {
		return to.Float64UpDownCounter(name, opts...)
	})
}

// Float64Histogram implements [metric.Meter].
func (m *meter) Float64Histogram(name string, opts ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	opts = slices.Clone(opts)
	i := &float64Histogram{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Float64Histogram, error) { return to.Float64Histogram(name, opts...) })
}

// Float64Gauge implements [metric.Meter].
func (m *meter) Float64Gauge(name string, opts ...metric.Float64GaugeOption) (metric.Float64Gauge, error) {
	opts = slices.Clone(opts)
	i := &float64Gauge{}
	return i, i.begin(m, false, func(to metric.Meter) (metric.Float64Gauge, error) { return to.Float64Gauge(name, opts...) })
}

// Int64ObservableCounter implements [metric.Meter].
func (m *meter) Int64ObservableCounter(name string, opts ...metric.Int64ObservableCounterOption) (metric.Int64ObservableCounter, error) {
	opts = slices.Clone(opts)
	i := &int64ObservableCounter{}
	return i, i.begin(m, len(metric.NewInt64ObservableCounterConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Int64ObservableCounter, error) {
		return to.Int64ObservableCounter(name, opts...)
	})
}

// Int64ObservableUpDownCounter implements [metric.Meter].
func (m *meter) Int64ObservableUpDownCounter(name string, opts ...metric.Int64ObservableUpDownCounterOption) (metric.Int64ObservableUpDownCounter, error) {
	opts = slices.Clone(opts)
	i := &int64ObservableUpDownCounter{}
	return i, i.begin(m, len(metric.NewInt64ObservableUpDownCounterConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Int64ObservableUpDownCounter, error) {
		return to.Int64ObservableUpDownCounter(name, opts...)
	})
}

// Int64ObservableGauge implements [metric.Meter].
func (m *meter) Int64ObservableGauge(name string, opts ...metric.Int64ObservableGaugeOption) (metric.Int64ObservableGauge, error) {
	opts = slices.Clone(opts)
	i := &int64ObservableGauge{}
	return i, i.begin(m, len(metric.NewInt64ObservableGaugeConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Int64ObservableGauge, error) {
		return to.Int64ObservableGauge(name, opts...)
	})
}

// Float64ObservableCounter implements [metric.Meter].
func (m *meter) Float64ObservableCounter(name string, opts ...metric.Float64ObservableCounterOption) (metric.Float64ObservableCounter, error) {
	opts = slices.Clone(opts)
	i := &float64ObservableCounter{}
	return i, i.begin(m, len(metric.NewFloat64ObservableCounterConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Float64ObservableCounter, error) {
		return to.Float64ObservableCounter(name, opts...)
	})
}

// Float64ObservableUpDownCounter implements [metric.Meter].
func (m *meter) Float64ObservableUpDownCounter(name string, opts ...metric.Float64ObservableUpDownCounterOption) (metric.Float64ObservableUpDownCounter, error) {
	opts = slices.Clone(opts)
	i := &float64ObservableUpDownCounter{}
	return i, i.begin(m, len(metric.NewFloat64ObservableUpDownCounterConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Float64ObservableUpDownCounter, error) {
		return to.Float64ObservableUpDownCounter(name, opts...)
	})
}

// Float64ObservableGauge implements [metric.Meter].
func (m *meter) Float64ObservableGauge(name string, opts ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	opts = slices.Clone(opts)
	i := &float64ObservableGauge{}
	return i, i.begin(m, len(metric.NewFloat64ObservableGaugeConfig(opts...).Callbacks()) > 0, func(to metric.Meter) (metric.Float64ObservableGauge, error) {
		return to.Float64ObservableGauge(name, opts...)
	})
}

func (i *int64Counter) Add(ctx context.Context, n int64, opts ...metric.AddOption) {
	if to := i.running(); to != nil {
		to.Add(ctx, n, opts...)
	}
}

func (i *int64Counter) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *int64UpDownCounter) Add(ctx context.Context, n int64, opts ...metric.AddOption) {
	if to := i.running(); to != nil {
		to.Add(ctx, n, opts...)
	}
}

func (i *int64UpDownCounter) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *int64Histogram) Record(ctx context.Context, n int64, opts ...metric.RecordOption) {
	if to := i.running(); to != nil {
		to.Record(ctx, n, opts...)
	}
}

func (i *int64Histogram) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *int64Gauge) Record(ctx context.Context, n int64, opts ...metric.RecordOption) {
	if to := i.running(); to != nil {
		to.Record(ctx, n, opts...)
	}
}

func (i *int64Gauge) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *float64Counter) Add(ctx context.Context, n float64, opts ...metric.AddOption) {
	if to := i.running(); to != nil {
		to.Add(ctx, n, opts...)
	}
}

func (i *float64Counter) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *float64UpDownCounter) Add(ctx context.Context, n float64, opts ...metric.AddOption) {
	if to := i.running(); to != nil {
		to.Add(ctx, n, opts...)
	}
}

func (i *float64UpDownCounter) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *float64Histogram) Record(ctx context.Context, n float64, opts ...metric.RecordOption) {
	if to := i.running(); to != nil {
		to.Record(ctx, n, opts...)
	}
}

func (i *float64Histogram) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}

func (i *float64Gauge) Record(ctx context.Context, n float64, opts ...metric.RecordOption) {
	if to := i.running(); to != nil {
		to.Record(ctx, n, opts...)
	}
}

func (i *float64Gauge) Enabled(ctx context.Context) bool {
	to := i.running()
	return to != nil && to.Enabled(ctx)
}
