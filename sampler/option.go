package sampler

import "go.opentelemetry.io/otel/metric"

// An Option configures [New].
type Option interface{ apply(*config) }

type config struct{ meterProvider metric.MeterProvider }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// WithMeterProvider sets where the sampler's metrics go. The default is the
// global meter provider.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return optionFunc(func(c *config) { c.meterProvider = provider })
}
