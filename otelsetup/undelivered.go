package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

// UndeliveredError says how much was recorded between [Start] and
// [Telemetry.Shutdown], or taken over from the spool, and not delivered: dropped
// by a full queue, refused by the collector, not sent in time, or kept in the
// spool. There is one for each signal that is sent by OTLP over HTTP, and for
// each other exporter, that has something to tell.
type UndeliveredError struct {
	Signal      string // "traces", "metrics" or "logs"
	Undelivered int64  // spans, data points or log records
	Recorded    int64
	Kept        int64 // of Undelivered, what waits in the spool for the next start
	Err         error // why, as far as it is known; may be nil
}

func (e *UndeliveredError) Error() string {
	text := fmt.Sprintf("%s: %d of %d %s not delivered", e.Signal, e.Undelivered, e.Recorded, units[e.Signal])
	if e.Err != nil {
		text += ": " + strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	}
	return text
}

// Unwrap returns Err.
func (e *UndeliveredError) Unwrap() error { return e.Err }

var units = map[string]string{signalTraces: "spans", signalMetrics: "data points", signalLogs: "log records"}

// tally counts what an exporter was to deliver, and what it has delivered. Of an
// exporter with an outbox that is what it has handed over, and the outbox knows
// the rest.
type tally struct {
	signal              string
	outbox              *outbox
	recorded, delivered atomic.Int64
}

// err is an [*UndeliveredError], or nil. left is why something stayed in the
// outbox.
func (t *tally) err(left []error) error {
	delivered := t.delivered.Load() // first: what is recorded meanwhile counts as not delivered
	u := &UndeliveredError{Signal: t.signal, Recorded: t.recorded.Load()}
	u.Undelivered = max(u.Recorded-delivered, 0)
	if t.outbox.usable() {
		stats := t.outbox.transport.Stats(deliverySignals[t.signal])
		u.Recorded += t.outbox.resumed[t.signal]
		u.Kept = stats.Kept
		u.Undelivered = min(u.Undelivered+stats.DroppedTotal()+stats.Kept+stats.Queued, u.Recorded)
		if reasons := t.outbox.reasons(t.signal); reasons != "" {
			left = append(left, errors.New("dropped "+reasons))
		}
		u.Err = errors.Join(left...)
	}
	if u.Undelivered == 0 {
		return nil
	}
	return u
}

// exported counts n items if their export succeeded. What comes too late for the
// outbox has been counted by Shutdown, which did not wait for it: nobody is to
// be told once more, least of all the next Telemetry.
func (t *tally) exported(n int64, err error) error {
	late := errors.Is(err, delivery.ErrShutdown) // the outbox counts it as dropped
	if late {
		err = nil
	}
	if err == nil {
		t.delivered.Add(n)
	}
	return err
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
	if notUTF8(err) {
		err = t.SpanExporter.ExportSpans(ctx, validEach(spans, newValidSpan))
	}
	return t.exported(int64(len(spans)), err)
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
	if notUTF8(err) {
		err = t.Exporter.Export(ctx, validEach(records, validRecord))
	}
	return t.exported(int64(len(records)), err)
}

// metricExporterTally looks at the last export only, unless an outbox keeps
// each of them: metrics are cumulative, and a later export makes up for an
// earlier one.
type metricExporterTally struct {
	sdkmetric.Exporter
	*tally
}

func (t metricExporterTally) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	n := dataPoints(rm)
	if t.outbox == nil {
		t.recorded.Store(0)
		t.delivered.Store(0)
	}
	t.recorded.Add(n)
	err := t.Exporter.Export(ctx, rm)
	if notUTF8(err) {
		err = t.Exporter.Export(ctx, validMetrics(rm))
	}
	return t.exported(n, err)
}

func dataPoints(rm *metricdata.ResourceMetrics) int64 {
	n := 0
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Gauge[int64]:
				n += len(data.DataPoints)
			case metricdata.Gauge[float64]:
				n += len(data.DataPoints)
			case metricdata.Sum[int64]:
				n += len(data.DataPoints)
			case metricdata.Sum[float64]:
				n += len(data.DataPoints)
			case metricdata.Histogram[int64]:
				n += len(data.DataPoints)
			case metricdata.Histogram[float64]:
				n += len(data.DataPoints)
			case metricdata.ExponentialHistogram[int64]:
				n += len(data.DataPoints)
			case metricdata.ExponentialHistogram[float64]:
				n += len(data.DataPoints)
			case metricdata.Summary:
				n += len(data.DataPoints)
			}
		}
	}
	return int64(n)
}
