// Package export is what otelsetup sends telemetry with: exporters of OTLP over
// HTTP that hand their requests to package delivery, processors that count what
// passes, and what both have to say at the end.
package export

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
)

// Exports is all that is sent by one Telemetry.
type Exports struct {
	outbox   *outbox // nil if nothing is sent by OTLP over HTTP
	wrap     func(signal string, next http.RoundTripper) http.RoundTripper
	resource *resource.Resource // what is exported in place of the SDK's; nil: that
	tallies  []*tally
	shared   map[string]*tally // of the exporters over HTTP, by signal
}

// Config shapes Exports. The zero value sends nothing by OTLP over HTTP.
type Config struct {
	Delivery  *settings.Delivery // nil: nothing is sent by OTLP over HTTP
	Customize []func(delivery.Config) delivery.Config
	Wrap      func(signal string, next http.RoundTripper) http.RoundTripper // nil: nothing
	Resource  *resource.Resource                                            // in place of what the SDK exports; nil: that
}

// New makes the exports of a Telemetry. Nothing is sent before [Exports.Open].
func New(c Config) *Exports {
	x := &Exports{wrap: c.Wrap, resource: c.Resource, shared: map[string]*tally{}}
	if c.Delivery != nil {
		x.outbox = newOutbox(*c.Delivery, c.Customize)
	}
	return x
}

// tally returns what counts for an exporter: one for all of a signal that are
// sent over HTTP, and one each for the others.
func (x *Exports) tally(signal string, e settings.Export) *tally {
	if e.OTLP == nil || !e.OTLP.OverHTTP() {
		t := &tally{signal: signal}
		x.tallies = append(x.tallies, t)
		return t
	}
	if x.shared[signal] == nil {
		x.shared[signal] = &tally{signal: signal, outbox: x.outbox}
		x.tallies = append(x.tallies, x.shared[signal])
	}
	return x.shared[signal]
}

// SpanProcessor hands spans to an exporter: each as it ends if there is a
// journal, in batches otherwise. Only the outbox takes a batch so soon that
// spans can wait for it.
func (x *Exports) SpanProcessor(exporter sdktrace.SpanExporter, e settings.Export) sdktrace.SpanProcessor {
	count := x.tally(settings.SignalTraces, e)
	counted := spanExporterTally{exporter, count, x.resource}
	if count.outbox.journals() {
		return spanTally{sdktrace.NewSimpleSpanProcessor(counted), count}
	}
	opts := []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(e.Batch.QueueSize), sdktrace.WithMaxExportBatchSize(e.Batch.Size),
		sdktrace.WithBatchTimeout(e.Batch.Delay), sdktrace.WithExportTimeout(e.Batch.ExportTimeout),
	}
	if count.outbox != nil {
		opts = append(opts, sdktrace.WithBlocking())
	}
	return spanTally{sdktrace.NewBatchSpanProcessor(counted, opts...), count}
}

// LogProcessor hands log records to an exporter, as [Exports.SpanProcessor]
// does spans. It cannot make them wait.
func (x *Exports) LogProcessor(exporter sdklog.Exporter, e settings.Export) sdklog.Processor {
	count := x.tally(settings.SignalLogs, e)
	counted := logExporterTally{exporter, count}
	if count.outbox.journals() {
		return logTally{sdklog.NewSimpleProcessor(counted), count}
	}
	return logTally{sdklog.NewBatchProcessor(counted,
		sdklog.WithMaxQueueSize(e.Batch.QueueSize), sdklog.WithExportMaxBatchSize(e.Batch.Size),
		sdklog.WithExportInterval(e.Batch.Delay), sdklog.WithExportTimeout(e.Batch.ExportTimeout)), count}
}

// MetricExporter counts what passes an exporter of metrics.
func (x *Exports) MetricExporter(exporter sdkmetric.Exporter, e settings.Export) sdkmetric.Exporter {
	return metricExporterTally{exporter, x.tally(settings.SignalMetrics, e), x.resource}
}

// Open lets the requests go.
func (x *Exports) Open(meters metric.MeterProvider) []settings.Problem {
	if x.outbox == nil {
		return nil
	}
	return x.outbox.open(meters)
}

// Dropped returns the items of each signal that were lost so far.
func (x *Exports) Dropped() map[string]int64 { return x.outbox.dropped() }

// Flush waits until the collector has taken what the exporters handed over.
// What was dropped since before is an error too.
func (x *Exports) Flush(ctx context.Context, before map[string]int64) error {
	return x.outbox.flush(ctx, before)
}

// Shutdown ends the delivery. It returns what is left of each signal, traces
// first.
func (x *Exports) Shutdown(ctx context.Context) (lost []Undelivered, err error) {
	left, err := x.outbox.shutdown(ctx)
	for _, signal := range []string{settings.SignalTraces, settings.SignalMetrics, settings.SignalLogs} {
		for _, count := range x.tallies {
			if count.signal != signal {
				continue
			}
			if u, some := count.undelivered(left[signal]); some {
				lost = append(lost, u)
			}
		}
	}
	return lost, err
}

// flatten takes joined errors apart.
func flatten(errs ...error) []error {
	var flat []error
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only what errors.Join returns as it is
			flat = append(flat, flatten(joined.Unwrap()...)...)
		} else if err != nil {
			flat = append(flat, err)
		}
	}
	return flat
}
