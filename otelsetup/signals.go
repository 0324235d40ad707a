package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

const (
	exporterOTLP    = "otlp"
	exporterConsole = "console"
)

// exporters reads a list of exporters. Known are the built-in names and the
// registered ones.
func (e *Env) exporters(variable string, def, registered []string) []string {
	accepted := append([]string{exporterOTLP, exporterConsole}, registered...)
	return e.List(variable, def, append(accepted, none), importOf(optInExporters))
}

// create makes a registered exporter; its error names the variable.
func create[T any](ctx context.Context, e *Env, variable, name string, from *registry[factory[T]]) (T, error) {
	f, _ := from.get(name)
	exporter, err := f(ctx, e)
	if err != nil {
		return exporter, fmt.Errorf("%s: %s: %w", variable, name, err)
	}
	return exporter, nil
}

// batch reads how spans or log records are batched. With an outbox, which takes
// the batches, the defaults are those of [delivery.Batch] instead of the
// specification's; with a spool, a batch stays at 512, because that is what
// the sudden end of the process can lose.
func (e *Env) batch(prefix string, delay time.Duration, o *outbox) delivery.Batch {
	queue, size := 2048, 512
	if o != nil {
		queue, size, delay = delivery.DefaultMaxQueueSize, delivery.DefaultMaxExportBatchSize, delivery.DefaultScheduleDelay
	}
	if o.spools() {
		size = 512
	}
	queue = e.queueSize(queue, prefix+"_MAX_QUEUE_SIZE")
	size = e.Int(size, 1, prefix+"_MAX_EXPORT_BATCH_SIZE")
	if size > queue {
		name, v := e.Lookup(prefix + "_MAX_EXPORT_BATCH_SIZE")
		if v != "" {
			e.Problem(name, v, fmt.Sprintf("must not be above %s_MAX_QUEUE_SIZE, %d", prefix, queue), queue)
		}
		size = queue
	}
	return delivery.Batch{
		MaxQueueSize: queue, MaxExportBatchSize: size,
		ScheduleDelay: e.Millis(delay, prefix+"_SCHEDULE_DELAY"),
		ExportTimeout: e.Millis(delivery.DefaultExportTimeout, prefix+"_EXPORT_TIMEOUT"),
	}
}

// maxQueueSize bounds a queue that the SDK allocates as a whole at the start.
const maxQueueSize = 1 << 20

func (e *Env) queueSize(def int, name string) int {
	return read(e, def, []string{name}, itself, func(v string) (int, error) {
		n, err := wholeNumber(v, 1, "")
		if err != nil || n > maxQueueSize {
			return 0, valueError(fmt.Sprintf("must be a whole number from 1 to %d", maxQueueSize))
		}
		return n, nil
	})
}

// otlpIf reads how a signal is sent if it is.
func (e *Env) otlpIf(exporters []string, signal string, cfg *config) (protocol Protocol, c OTLP) {
	if slices.Contains(exporters, exporterOTLP) {
		return e.otlp(signal, cfg)
	}
	return protocol, c
}

// tracerProvider sets up traces: OTEL_TRACES_EXPORTER, OTEL_BSP_* and the
// limits of spans.
func (e *Env) tracerProvider(ctx context.Context, res *resource.Resource, cfg *config) (*sdktrace.TracerProvider, error) {
	opts := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res), sdktrace.WithSampler(customized(e.sampler(ctx), cfg.sampler)),
		sdktrace.WithRawSpanLimits(e.spanLimits()), sdktrace.WithSpanProcessor(linkCaller{}),
	}
	for _, p := range cfg.processors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	var errs []error
	e.pipelines(func(f *ConfigFile) [][]FileValue { return f.Spans }, func(e *Env) {
		processors, err := e.spanProcessors(ctx, cfg)
		for _, p := range processors {
			opts = append(opts, sdktrace.WithSpanProcessor(p))
		}
		errs = append(errs, err)
	})
	return sdktrace.NewTracerProvider(opts...), errors.Join(errs...)
}

// spanProcessors makes a processor for each exporter of spans.
func (e *Env) spanProcessors(ctx context.Context, cfg *config) ([]sdktrace.SpanProcessor, error) {
	const variable = "OTEL_TRACES_EXPORTER"
	exporters := e.exporters(variable, []string{exporterOTLP}, spanExporters.names())
	protocol, otlp := e.otlpIf(exporters, signalTraces, cfg)
	batch := e.batch("OTEL_BSP", 5*time.Second, otlp.outbox)
	otlp.Timeout = otlp.attempt(batch.ExportTimeout)
	var processors []sdktrace.SpanProcessor
	var errs []error
	for _, name := range exporters {
		var exporter sdktrace.SpanExporter
		var out *outbox
		var err error
		switch name {
		case exporterOTLP:
			out = otlp.outbox
			exporter, err = protocol.Traces(ctx, otlp)
		case exporterConsole:
			exporter, err = stdouttrace.New()
		case none:
			continue
		default:
			exporter, err = create(ctx, e, variable, name, &spanExporters)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		count := cfg.tallyFor(signalTraces, out)
		exporter = spanExporterTally{customized(exporter, cfg.spanExporter), count}
		var processor sdktrace.SpanProcessor = spanTally{spanProcessor(exporter, batch, out), count}
		for _, f := range cfg.spanProcessor {
			if other, err := f(processor); err != nil {
				errs = append(errs, err)
			} else {
				processor = other
			}
		}
		processors = append(processors, processor)
	}
	return processors, errors.Join(errs...)
}

// spanProcessor hands spans to an exporter: each as it ends if there is a
// journal, in batches otherwise. Only the outbox takes a batch so soon that
// spans can wait for it.
func spanProcessor(exporter sdktrace.SpanExporter, batch delivery.Batch, out *outbox) sdktrace.SpanProcessor {
	if out.journals() {
		return sdktrace.NewSimpleSpanProcessor(exporter)
	}
	opts := []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(batch.MaxQueueSize), sdktrace.WithMaxExportBatchSize(batch.MaxExportBatchSize),
		sdktrace.WithBatchTimeout(batch.ScheduleDelay), sdktrace.WithExportTimeout(batch.ExportTimeout),
	}
	if out != nil {
		opts = append(opts, sdktrace.WithBlocking())
	}
	return sdktrace.NewBatchSpanProcessor(exporter, opts...)
}

// The limits of attributes hold for spans and log records, unless the signal's
// own are set: "OpenTelemetry Environment Variable Specification", section
// "Attribute Limits".
const (
	attributeCountLimit  = "OTEL_ATTRIBUTE_COUNT_LIMIT"
	attributeLengthLimit = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
	noLimit              = -1
)

func (e *Env) spanLimits() sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits() // for what has no variable
	limits.AttributeValueLengthLimit = e.Limit(noLimit, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", attributeLengthLimit)
	limits.AttributeCountLimit = e.Limit(128, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributeCountLimit)
	limits.EventCountLimit = e.Limit(128, "OTEL_SPAN_EVENT_COUNT_LIMIT")
	limits.LinkCountLimit = e.Limit(128, "OTEL_SPAN_LINK_COUNT_LIMIT")
	limits.AttributePerEventCountLimit = e.Limit(128, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT")
	limits.AttributePerLinkCountLimit = e.Limit(128, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT")
	return limits
}

// meterProvider sets up metrics: OTEL_METRICS_EXPORTER, OTEL_METRIC_EXPORT_*
// and the exemplar filter.
func (e *Env) meterProvider(ctx context.Context, res *resource.Resource, cfg *config) (*sdkmetric.MeterProvider, error) {
	const variable = "OTEL_METRICS_EXPORTER"
	opts := []sdkmetric.Option{sdkmetric.WithResource(res), sdkmetric.WithExemplarFilter(e.exemplarFilter())}
	timeout := e.Millis(30*time.Second, "OTEL_METRIC_EXPORT_TIMEOUT")
	period := []sdkmetric.PeriodicReaderOption{
		sdkmetric.WithInterval(e.Millis(time.Minute, "OTEL_METRIC_EXPORT_INTERVAL")), sdkmetric.WithTimeout(timeout),
	}
	exporters := e.exporters(variable, []string{exporterOTLP}, metricReaders.names())
	protocol, otlp := e.otlpIf(exporters, signalMetrics, cfg)
	otlp.Timeout = otlp.attempt(timeout)
	var errs []error
	for _, name := range exporters {
		var exporter sdkmetric.Exporter
		var reader sdkmetric.Reader
		var out *outbox
		var err error
		switch name {
		case exporterOTLP:
			out = otlp.outbox
			otlp.Temporality, otlp.Aggregation = e.temporality(), e.aggregation()
			exporter, err = protocol.Metrics(ctx, otlp)
		case exporterConsole:
			exporter, err = stdoutmetric.New()
		case none:
			continue
		default:
			reader, err = create(ctx, e, variable, name, &metricReaders)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if exporter != nil {
			exporter = metricExporterTally{customized(exporter, cfg.metricExporter), cfg.tallyFor(signalMetrics, out)}
			reader = sdkmetric.NewPeriodicReader(exporter, period...)
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	return sdkmetric.NewMeterProvider(opts...), errors.Join(errs...)
}

func (e *Env) exemplarFilter() exemplar.Filter {
	switch e.Enum("trace_based", []string{"trace_based", "always_on", "always_off"}, "OTEL_METRICS_EXEMPLAR_FILTER") {
	case "always_on":
		return exemplar.AlwaysOnFilter
	case "always_off":
		return exemplar.AlwaysOffFilter
	default:
		return exemplar.TraceBasedFilter
	}
}

// temporality reads the preference that "OpenTelemetry Metrics Exporter -
// OTLP", section "Additional Environment Variable Configuration", defines.
func (e *Env) temporality() sdkmetric.TemporalitySelector {
	delta := map[string][]sdkmetric.InstrumentKind{
		"cumulative": nil,
		"delta": {
			sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindObservableCounter, sdkmetric.InstrumentKindHistogram,
		},
		"lowmemory": {sdkmetric.InstrumentKindCounter, sdkmetric.InstrumentKindHistogram},
	}
	kinds := delta[e.Enum("cumulative", []string{"cumulative", "delta", "lowmemory"},
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")]
	return func(kind sdkmetric.InstrumentKind) metricdata.Temporality {
		if slices.Contains(kinds, kind) {
			return metricdata.DeltaTemporality
		}
		return metricdata.CumulativeTemporality
	}
}

func (e *Env) aggregation() sdkmetric.AggregationSelector {
	const explicit, exponential = "explicit_bucket_histogram", "base2_exponential_bucket_histogram"
	if e.Enum(explicit, []string{explicit, exponential}, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION") == explicit {
		return sdkmetric.DefaultAggregationSelector
	}
	return func(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
		if kind == sdkmetric.InstrumentKindHistogram {
			return sdkmetric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}
		}
		return sdkmetric.DefaultAggregationSelector(kind)
	}
}

// loggerProvider sets up logs: OTEL_LOGS_EXPORTER, OTEL_BLRP_* and the limits
// of log records. It also reports whether records are exported, and whether
// they are printed: both unless the variable says otherwise. "none" exports
// nothing, and a program that would neither print nor export its log would be
// mute, so it prints.
func (e *Env) loggerProvider(ctx context.Context, res *resource.Resource, cfg *config) (lp *sdklog.LoggerProvider, export, printed bool, err error) {
	opts := []sdklog.LoggerProviderOption{
		sdklog.WithResource(res),
		sdklog.WithAttributeCountLimit(e.Limit(128, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", attributeCountLimit)),
		sdklog.WithAttributeValueLengthLimit(e.Limit(noLimit, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", attributeLengthLimit)),
	}
	var errs []error
	e.pipelines(func(f *ConfigFile) [][]FileValue { return f.Logs }, func(e *Env) {
		processors, alsoPrinted, err := e.logProcessors(ctx, cfg)
		for _, p := range processors {
			opts = append(opts, sdklog.WithProcessor(p))
		}
		export, printed = export || len(processors) > 0, printed || alsoPrinted
		errs = append(errs, err)
	})
	return sdklog.NewLoggerProvider(opts...), export, printed || !export, errors.Join(errs...)
}

// logProcessors makes a processor for each exporter of log records. It also
// reports whether they are printed.
func (e *Env) logProcessors(ctx context.Context, cfg *config) (processors []sdklog.Processor, printed bool, err error) {
	const variable = "OTEL_LOGS_EXPORTER"
	exporters := e.exporters(variable, []string{exporterOTLP, exporterConsole}, logExporters.names())
	protocol, otlp := e.otlpIf(exporters, signalLogs, cfg)
	// The SDK allocates the queue of log records when it is made: one of 8,192
	// takes 10 ms and 5 MB.
	batch := e.batch("OTEL_BLRP", time.Second, nil)
	otlp.Timeout = otlp.attempt(batch.ExportTimeout)
	var errs []error
	for _, name := range exporters {
		var exporter sdklog.Exporter
		var out *outbox
		var newErr error
		switch name {
		case exporterOTLP:
			out = otlp.outbox
			exporter, newErr = protocol.Logs(ctx, otlp)
		case exporterConsole:
			printed = true
			continue
		case none:
			continue
		default:
			exporter, newErr = create(ctx, e, variable, name, &logExporters)
		}
		if newErr != nil {
			errs = append(errs, newErr)
			continue
		}
		count := cfg.tallyFor(signalLogs, out)
		exporter = logExporterTally{customized(exporter, cfg.logExporter), count}
		processors = append(processors, logTally{logProcessor(exporter, batch, out), count})
	}
	return processors, printed, errors.Join(errs...)
}

// logProcessor hands log records to an exporter, as spanProcessor does spans.
// It cannot make them wait.
func logProcessor(exporter sdklog.Exporter, batch delivery.Batch, out *outbox) sdklog.Processor {
	if out.journals() {
		return sdklog.NewSimpleProcessor(exporter)
	}
	return sdklog.NewBatchProcessor(exporter,
		sdklog.WithMaxQueueSize(batch.MaxQueueSize), sdklog.WithExportMaxBatchSize(batch.MaxExportBatchSize),
		sdklog.WithExportInterval(batch.ScheduleDelay), sdklog.WithExportTimeout(batch.ExportTimeout))
}
