package otelsetup

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/propagator"
)

const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
	none            = "none"
)

var exporters = []string{exporterOTLP, exporterConsole, none}

// propagator reads OTEL_PROPAGATORS.
func (e *env) propagator() propagation.TextMapPropagator {
	known := map[string]propagation.TextMapPropagator{
		"tracecontext": propagator.New(),
		"baggage":      propagation.Baggage{},
	}
	var chosen []propagation.TextMapPropagator
	for _, name := range e.list("OTEL_PROPAGATORS", []string{"tracecontext", "baggage"}, []string{"tracecontext", "baggage", none}) {
		if p := known[name]; p != nil {
			chosen = append(chosen, p)
		}
	}
	return propagator.Guard(propagation.NewCompositeTextMapPropagator(chosen...))
}

// sampler reads OTEL_TRACES_SAMPLER and its argument.
func (e *env) sampler() sdktrace.Sampler {
	const parentBased = "parentbased_"
	names := []string{"always_on", "always_off", "traceidratio"}
	for _, name := range slices.Clone(names) {
		names = append(names, parentBased+name)
	}
	name := e.enum(parentBased+"always_on", names, "OTEL_TRACES_SAMPLER")
	root := map[string]func() sdktrace.Sampler{
		"always_on":    sdktrace.AlwaysSample,
		"always_off":   sdktrace.NeverSample,
		"traceidratio": func() sdktrace.Sampler { return sdktrace.TraceIDRatioBased(e.ratio("OTEL_TRACES_SAMPLER_ARG")) },
	}
	if newSampler := root[name]; newSampler != nil {
		return newSampler()
	}
	return sdktrace.ParentBased(root[name[len(parentBased):]]())
}

// tracerProvider sets up traces: OTEL_TRACES_EXPORTER and OTEL_BSP_*.
func (e *env) tracerProvider(ctx context.Context, res *resource.Resource, first []sdktrace.SpanProcessor) (*sdktrace.TracerProvider, error) {
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res), sdktrace.WithSampler(e.sampler()), sdktrace.WithSpanProcessor(linkCaller{}),
	}
	for _, p := range first {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	queue := e.integer("OTEL_BSP_MAX_QUEUE_SIZE", sdktrace.DefaultMaxQueueSize, 1)
	batch := []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(queue),
		sdktrace.WithMaxExportBatchSize(min(queue, e.integer("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", sdktrace.DefaultMaxExportBatchSize, 1))),
		sdktrace.WithBatchTimeout(e.millis("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second)),
		sdktrace.WithExportTimeout(e.millis("OTEL_BSP_EXPORT_TIMEOUT", 30*time.Second)),
	}
	var errs []error
	for _, name := range e.list("OTEL_TRACES_EXPORTER", []string{exporterOTLP}, exporters) {
		var exporter sdktrace.SpanExporter
		var err error
		switch name {
		case exporterOTLP:
			exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(e.endpoint("traces")))
		case exporterConsole:
			exporter, err = stdouttrace.New()
		default:
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		opts = append(opts, sdktrace.WithBatcher(exporter, batch...))
	}
	return sdktrace.NewTracerProvider(opts...), errors.Join(errs...)
}

// meterProvider sets up metrics: OTEL_METRICS_EXPORTER and
// OTEL_METRIC_EXPORT_*.
func (e *env) meterProvider(ctx context.Context, res *resource.Resource) (*sdkmetric.MeterProvider, error) {
	opts := []sdkmetric.Option{sdkmetric.WithResource(res)}
	period := []sdkmetric.PeriodicReaderOption{
		sdkmetric.WithInterval(e.millis("OTEL_METRIC_EXPORT_INTERVAL", time.Minute)),
		sdkmetric.WithTimeout(e.millis("OTEL_METRIC_EXPORT_TIMEOUT", 30*time.Second)),
	}
	var errs []error
	for _, name := range e.list("OTEL_METRICS_EXPORTER", []string{exporterOTLP}, exporters) {
		var exporter sdkmetric.Exporter
		var err error
		switch name {
		case exporterOTLP:
			exporter, err = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(e.endpoint("metrics")))
		case exporterConsole:
			exporter, err = stdoutmetric.New()
		default:
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		opts = append(opts, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, period...)))
	}
	return sdkmetric.NewMeterProvider(opts...), errors.Join(errs...)
}

// loggerProvider sets up logs: OTEL_LOGS_EXPORTER and OTEL_BLRP_*. It also
// reports whether records are exported, and whether they are printed: both
// unless the variable says otherwise. "none" exports nothing, and a program
// that would neither print nor export its log would be mute, so it prints.
func (e *env) loggerProvider(ctx context.Context, res *resource.Resource) (lp *sdklog.LoggerProvider, export, printed bool, err error) {
	names := e.list("OTEL_LOGS_EXPORTER", []string{exporterOTLP, exporterConsole}, exporters)
	export = slices.Contains(names, exporterOTLP)
	opts := []sdklog.LoggerProviderOption{sdklog.WithResource(res)}
	queue := e.integer("OTEL_BLRP_MAX_QUEUE_SIZE", 2048, 1)
	batch := []sdklog.BatchProcessorOption{
		sdklog.WithMaxQueueSize(queue),
		sdklog.WithExportMaxBatchSize(min(queue, e.integer("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512, 1))),
		sdklog.WithExportInterval(e.millis("OTEL_BLRP_SCHEDULE_DELAY", time.Second)),
		sdklog.WithExportTimeout(e.millis("OTEL_BLRP_EXPORT_TIMEOUT", 30*time.Second)),
	}
	if export {
		exporter, newErr := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(e.endpoint("logs")))
		if newErr != nil {
			err, export = newErr, false
		} else {
			opts = append(opts, sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter, batch...)))
		}
	}
	return sdklog.NewLoggerProvider(opts...), export, !export || slices.Contains(names, exporterConsole), err
}
