package otelsetup

import (
	"context"
	"slices"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/internal/sdkbatch"
)

// buildTracers makes the tracer provider with a processor for each exporter.
func (b *builder) buildTracers(ctx context.Context) {
	sampler := b.buildSampler(ctx, b.settings.Sampler)
	for _, c := range b.config.custom {
		sampler = custom(c.Sampler, sampler)
	}
	if slices.ContainsFunc(b.settings.Propagators, func(name string) bool { _, ok := builtIn[name].(undecided); return ok }) {
		sampler = decider{sampler}
	}
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(b.resource), sdktrace.WithSampler(sampler),
		sdktrace.WithRawSpanLimits(b.settings.SpanLimits), sdktrace.WithSpanProcessor(linkCaller{}),
	}
	for _, p := range b.config.processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	for _, e := range b.settings.Spans {
		processor, err := b.spanProcessor(ctx, e)
		if err != nil {
			b.problem("OTEL_TRACES_EXPORTER: "+e.Exporter, err)
			continue
		}
		opts = append(opts, sdktrace.WithSpanProcessor(b.customProcessor(processor)))
	}
	b.tracers = sdktrace.NewTracerProvider(opts...)
	b.lives = append(b.lives, life{settings.SignalTraces, b.tracers.ForceFlush, b.tracers.Shutdown})
}

func (b *builder) customProcessor(p sdktrace.SpanProcessor) sdktrace.SpanProcessor {
	for _, c := range b.config.custom {
		if c.SpanProcessor == nil {
			continue
		}
		if other, err := c.SpanProcessor(p); err != nil {
			b.problem("", err)
		} else if other != nil {
			p = other
		}
	}
	return p
}

func (b *builder) spanExporter(ctx context.Context, e settings.Export) (sdktrace.SpanExporter, error) {
	switch {
	case e.Exporter == settings.ExporterConsole:
		return consoleSpans{}, nil
	case e.OTLP == nil:
		return plugged(ctx, b, extend.SpanExporters.Names, e.Exporter)
	}
	route, err := b.route(ctx, e)
	if err != nil {
		return nil, err
	}
	return b.delivery.SpanExporter(route), nil
}

// plugged makes what was registered under a name.
func plugged[T any](ctx context.Context, b *builder, names *extend.Names[extend.Factory[T]], name string) (T, error) {
	f, _ := names.Lookup(name)
	if f == nil {
		var nothing T
		return nothing, errNotRegistered
	}
	return f(ctx, env{builder: b})
}

// buildMeters makes the meter provider with its readers and views.
func (b *builder) buildMeters(ctx context.Context) {
	m := b.settings.Metrics
	opts := []sdkmetric.Option{sdkmetric.WithResource(b.resource), sdkmetric.WithExemplarFilter(exemplarFilter(m.Exemplars)), sdkmetric.WithView(m.Views...)}
	for _, r := range m.Readers {
		reader, err := b.metricReader(ctx, r)
		if err != nil {
			b.problem("OTEL_METRICS_EXPORTER: "+r.Exporter, err)
			continue
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	meters := sdkmetric.NewMeterProvider(opts...)
	b.meters = meters
	b.lives = append(b.lives, life{settings.SignalMetrics, meters.ForceFlush, meters.Shutdown})
}

func (b *builder) metricReader(ctx context.Context, r settings.Reader) (sdkmetric.Reader, error) {
	var exporter sdkmetric.Exporter
	var err error
	switch {
	case r.Exporter == settings.ExporterConsole:
		exporter = consoleMetrics{}
	case r.OTLP == nil:
		return plugged(ctx, b, extend.MetricReaders, r.Exporter)
	default:
		var route delivery.Route
		if route, err = b.route(ctx, r.Export); err == nil {
			exporter = b.delivery.MetricExporter(route, temporality(r.Temporality), aggregation(r.Histogram))
		}
	}
	if err != nil {
		return nil, err
	}
	for _, c := range b.config.custom {
		exporter = custom(c.MetricExporter, exporter)
	}
	return sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(r.Interval), sdkmetric.WithTimeout(sdkbatch.Endless(r.Timeout))), nil
}

func exemplarFilter(name string) exemplar.Filter {
	switch name {
	case "always_on":
		return exemplar.AlwaysOnFilter
	case "always_off":
		return exemplar.AlwaysOffFilter
	default:
		return exemplar.TraceBasedFilter
	}
}

// temporality is the preference that OpenTelemetry Metrics Exporter - OTLP,
// "Additional Environment Variable Configuration", defines.
func temporality(preference string) sdkmetric.TemporalitySelector {
	delta := map[string][]sdkmetric.InstrumentKind{
		"delta": {
			sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindHistogram,
		},
		"lowmemory": {sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindHistogram},
	}[preference]
	return func(kind sdkmetric.InstrumentKind) metricdata.Temporality {
		if slices.Contains(delta, kind) {
			return metricdata.DeltaTemporality
		}
		return metricdata.CumulativeTemporality
	}
}

func aggregation(histogram string) sdkmetric.AggregationSelector {
	if histogram != "base2_exponential_bucket_histogram" {
		return sdkmetric.DefaultAggregationSelector
	}
	return func(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
		if kind == sdkmetric.InstrumentKindHistogram {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		}
		return sdkmetric.DefaultAggregationSelector(kind)
	}
}

// buildLoggers makes the logger provider with a processor for each exporter,
// and the handler of the program's log.
func (b *builder) buildLoggers(ctx context.Context) {
	opts := []sdklog.LoggerProviderOption{
		sdklog.WithResource(b.resource),
		sdklog.WithAttributeCountLimit(b.settings.LogLimits.AttributeCount),
		sdklog.WithAttributeValueLengthLimit(b.settings.LogLimits.AttributeValueLength),
	}
	if b.encodesLogs() {
		opts = append(opts, sdklog.WithAllowKeyDuplication()) // the encoder looks after that, for less
	}
	exported := false
	for _, e := range b.settings.Logs {
		processor, err := b.logProcessor(ctx, e)
		if err != nil {
			b.problem("OTEL_LOGS_EXPORTER: "+e.Exporter, err)
			continue
		}
		opts = append(opts, sdklog.WithProcessor(processor))
		exported = true
	}
	loggers := sdklog.NewLoggerProvider(opts...)
	b.loggers = loggers
	b.lives = append(b.lives, life{settings.SignalLogs, loggers.ForceFlush, loggers.Shutdown})
	b.buildHandler(exported)
}

// encodesLogs reports whether all records are encoded by delivery, and nobody
// else gets them.
func (b *builder) encodesLogs() bool {
	return !slices.ContainsFunc(b.settings.Logs, func(e settings.Export) bool { return e.OTLP == nil }) &&
		!slices.ContainsFunc(b.config.custom, func(c extend.Customizers) bool { return c.LogExporter != nil })
}

func (b *builder) logExporter(ctx context.Context, e settings.Export) (sdklog.Exporter, error) {
	if e.OTLP == nil {
		return plugged(ctx, b, extend.LogExporters.Names, e.Exporter)
	}
	route, err := b.route(ctx, e)
	if err != nil {
		return nil, err
	}
	return b.delivery.LogExporter(route), nil
}
