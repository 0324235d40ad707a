package export

import (
	"context"
	"errors"
	"sync/atomic"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
)

// Undelivered is what a signal has lost, or kept for the next start.
type Undelivered struct {
	Signal      string // "traces", "metrics" or "logs"
	Undelivered int64  // spans, data points or log records
	Recorded    int64
	Kept        int64 // of Undelivered, what waits in the spool for the next start
	Err         error // why, as far as it is known; may be nil
}

// Units are what is counted of each signal.
var Units = map[string]string{settings.SignalTraces: "spans", settings.SignalMetrics: "data points", settings.SignalLogs: "log records"}

// tally counts what an exporter was to deliver, and what it has delivered. Of an
// exporter with an outbox that is what it has handed over, and the outbox knows
// the rest.
type tally struct {
	signal              string
	outbox              *outbox
	recorded, delivered atomic.Int64
}

// undelivered returns what was not delivered, and false if that is nothing. left
// is why something stayed in the outbox.
func (t *tally) undelivered(left []error) (u Undelivered, some bool) {
	delivered := t.delivered.Load() // first: what is recorded meanwhile counts as not delivered
	u = Undelivered{Signal: t.signal, Recorded: t.recorded.Load()}
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
	return u, u.Undelivered > 0
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
	resource *resource.Resource // in place of the spans' own; nil: that
}

func (t spanExporterTally) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if t.resource != nil {
		spans = validEach(spans, func(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan { return spanOf{s, t.resource} })
	}
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if notUTF8(err) {
		err = t.SpanExporter.ExportSpans(ctx, validEach(spans, newValidSpan))
	}
	return t.exported(int64(len(spans)), err)
}

// spanOf is a span of another resource.
type spanOf struct {
	sdktrace.ReadOnlySpan
	resource *resource.Resource
}

func (s spanOf) Resource() *resource.Resource { return s.resource }

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
	resource *resource.Resource // in place of the metrics' own; nil: that
}

func (t metricExporterTally) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	n := dataPoints(rm)
	if t.resource != nil {
		other := *rm
		other.Resource = t.resource
		rm = &other
	}
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
