package otelsetup

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/extend"
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
		if p := b.spanProcessor(ctx, e); p != nil {
			opts = append(opts, sdktrace.WithSpanProcessor(p))
		}
	}
	b.tracers = sdktrace.NewTracerProvider(opts...)
	b.lives = append(b.lives, life{settings.SignalTraces, b.tracers.ForceFlush, b.tracers.Shutdown})
}

func (b *builder) spanProcessor(ctx context.Context, e settings.Export) sdktrace.SpanProcessor {
	exporter, err := b.spanExporter(ctx, e)
	if err != nil {
		b.problem("OTEL_TRACES_EXPORTER: "+e.Exporter, err)
		return nil
	}
	for _, c := range b.config.custom {
		exporter = custom(c.SpanExporter, exporter)
	}
	processor := b.exports.SpanProcessor(exporter, e)
	for _, c := range b.config.custom {
		if c.SpanProcessor == nil {
			continue
		}
		if other, err := c.SpanProcessor(processor); err != nil {
			b.problem("", err)
		} else if other != nil {
			processor = other
		}
	}
	return processor
}

func (b *builder) spanExporter(ctx context.Context, e settings.Export) (sdktrace.SpanExporter, error) {
	switch {
	case e.Exporter == settings.ExporterConsole:
		return stdouttrace.New()
	case e.OTLP == nil:
		return plugged(ctx, b, extend.SpanExporters, e.Exporter)
	case e.OTLP.OverHTTP():
		return b.exports.Spans(ctx, e.OTLP)
	}
	protocol, _ := extend.Protocols.Lookup(e.OTLP.Protocol)
	if protocol.Traces == nil {
		return nil, errNotRegistered
	}
	return protocol.Traces(ctx, protocolConfig(e.OTLP))
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

// errNotRegistered is about a name that was accepted and stands for nothing.
var errNotRegistered = errors.New("nothing is registered under this name")

func protocolConfig(c *settings.OTLP) extend.OTLP {
	return extend.OTLP{
		Signal: c.Signal, Endpoint: c.Endpoint, Target: c.Target, Headers: c.Headers, Timeout: c.Timeout, Gzip: c.Gzip, TLS: c.TLS.Config(),
	}
}

// buildMeters makes the meter provider with its readers and views.
func (b *builder) buildMeters(ctx context.Context) {
	m := b.settings.Metrics
	opts := []sdkmetric.Option{sdkmetric.WithResource(b.resource), sdkmetric.WithExemplarFilter(exemplarFilter(m.Exemplars))}
	for _, r := range m.Readers {
		reader, err := b.metricReader(ctx, r)
		if err != nil {
			b.problem("OTEL_METRICS_EXPORTER: "+r.Exporter, err)
			continue
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	for _, v := range m.Views {
		opts = append(opts, sdkmetric.WithView(sdkmetric.NewView(v.Instrument, v.Stream)))
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
		exporter, err = stdoutmetric.New()
	case r.OTLP == nil:
		return plugged(ctx, b, extend.MetricReaders, r.Exporter)
	case r.OTLP.OverHTTP():
		exporter, err = b.exports.Metrics(ctx, r.OTLP, temporality(r.Temporality), aggregation(r.Histogram))
	default:
		protocol, _ := extend.Protocols.Lookup(r.OTLP.Protocol)
		if protocol.Metrics == nil {
			return nil, errNotRegistered
		}
		c := protocolConfig(r.OTLP)
		c.Temporality, c.Aggregation = temporality(r.Temporality), aggregation(r.Histogram)
		exporter, err = protocol.Metrics(ctx, c)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range b.config.custom {
		exporter = custom(c.MetricExporter, exporter)
	}
	timeout := r.Timeout
	if timeout < 0 {
		timeout = math.MaxInt32 * time.Millisecond // the reader always has one
	}
	return sdkmetric.NewPeriodicReader(b.exports.MetricExporter(exporter, r.Export),
		sdkmetric.WithInterval(r.Interval), sdkmetric.WithTimeout(timeout)), nil
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
	exported := false
	for _, e := range b.settings.Logs {
		exporter, err := b.logExporter(ctx, e)
		if err != nil {
			b.problem("OTEL_LOGS_EXPORTER: "+e.Exporter, err)
			continue
		}
		for _, c := range b.config.custom {
			exporter = custom(c.LogExporter, exporter)
		}
		opts = append(opts, sdklog.WithProcessor(b.exports.LogProcessor(exporter, e)))
		exported = true
	}
	loggers := sdklog.NewLoggerProvider(opts...)
	b.loggers = loggers
	b.lives = append(b.lives, life{settings.SignalLogs, loggers.ForceFlush, loggers.Shutdown})
	b.buildHandler(exported)
}

func (b *builder) logExporter(ctx context.Context, e settings.Export) (sdklog.Exporter, error) {
	switch {
	case e.OTLP == nil:
		return plugged(ctx, b, extend.LogExporters, e.Exporter)
	case e.OTLP.OverHTTP():
		return b.exports.Logs(ctx, e.OTLP)
	}
	protocol, _ := extend.Protocols.Lookup(e.OTLP.Protocol)
	if protocol.Logs == nil {
		return nil, errNotRegistered
	}
	return protocol.Logs(ctx, protocolConfig(e.OTLP))
}
