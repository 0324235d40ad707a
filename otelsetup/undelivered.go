package otelsetup

import (
	"context"
	"fmt"
	"sync/atomic"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// UndeliveredError says how much was recorded between [Start] and
// [Telemetry.Shutdown] and not delivered: dropped by a full queue, refused by
// the collector, or not sent in time. There is one for each exporter that has
// something to tell.
type UndeliveredError struct {
	Signal      string // "traces", "metrics" or "logs"
	Undelivered int64  // spans, metrics or log records
	Recorded    int64
}

func (e *UndeliveredError) Error() string {
	unit := map[string]string{signalTraces: "spans", signalMetrics: "metrics", signalLogs: "log records"}[e.Signal]
	return fmt.Sprintf("%s: %d of %d %s not delivered", e.Signal, e.Undelivered, e.Recorded, unit)
}

// tally counts what one exporter was to deliver, and what it has delivered.
type tally struct {
	signal              string
	recorded, delivered atomic.Int64
}

// err is an [*UndeliveredError], or nil.
func (t *tally) err() error {
	delivered := t.delivered.Load() // first: what is recorded meanwhile counts as not delivered
	recorded := t.recorded.Load()
	if delivered >= recorded {
		return nil
	}
	return &UndeliveredError{t.signal, recorded - delivered, recorded}
}

// tally returns a new one, which Shutdown will read.
func (c *config) tally(signal string) *tally {
	t := &tally{signal: signal}
	c.tallies = append(c.tallies, t)
	return t
}

// spanTally counts the spans that a processor gets.
type spanTally struct {
	sdktrace.SpanProcessor
	*tally
}

func (t spanTally) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() { // others are not exported
		t.recorded.Add(1)
	}
	t.SpanProcessor.OnEnd(s)
}

type spanExporterTally struct {
	sdktrace.SpanExporter
	*tally
}

func (t spanExporterTally) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if err == nil {
		t.delivered.Add(int64(len(spans)))
	}
	return err
}

// logTally counts the records that a processor gets.
type logTally struct {
	sdklog.Processor
	*tally
}

func (t logTally) OnEmit(ctx context.Context, r *sdklog.Record) error {
	t.recorded.Add(1)
	return t.Processor.OnEmit(ctx, r)
}

type logExporterTally struct {
	sdklog.Exporter
	*tally
}

func (t logExporterTally) Export(ctx context.Context, records []sdklog.Record) error {
	err := t.Exporter.Export(ctx, records)
	if err == nil {
		t.delivered.Add(int64(len(records)))
	}
	return err
}

// metricExporterTally looks at the last export only: metrics are cumulative,
// and a later export makes up for an earlier one.
type metricExporterTally struct {
	sdkmetric.Exporter
	*tally
}

func (t metricExporterTally) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	var n int64
	for _, scope := range rm.ScopeMetrics {
		n += int64(len(scope.Metrics))
	}
	t.recorded.Store(n)
	t.delivered.Store(0)
	err := t.Exporter.Export(ctx, rm)
	if err == nil {
		t.delivered.Store(n)
	}
	return err
}
