package delivery

import (
	"context"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/otlp"
)

// SpanExporter returns an exporter for programs that put something between a processor
// and the exporter. It encodes spans as [Transport.SpanProcessor] does, which is to be
// preferred because it does not keep spans in a queue of its own. The batch processor of
// the SDK should block, since an export takes no longer than the encoding:
//
//	sdktrace.WithBatcher(exporter, sdktrace.WithBlocking())
//
// ForceFlush and Shutdown of an exporter do nothing: [Transport.ForceFlush] and
// [Transport.Shutdown] deliver what it has handed over. Exports after the latter return
// [ErrShutdown].
func (t *Transport) SpanExporter(r Route) sdktrace.SpanExporter {
	return &spanExporter{t.started().newExporter(Traces, r)}
}

// LogExporter is [Transport.SpanExporter] for log records.
func (t *Transport) LogExporter(r Route) sdklog.Exporter {
	return &logExporter{t.started().newExporter(Logs, r)}
}

// MetricExporter is [Transport.SpanExporter] for metrics, for
// sdkmetric.NewPeriodicReader. A nil selector is the default one of the SDK. Each request
// has at most 1 MiB.
func (t *Transport) MetricExporter(r Route, temporality sdkmetric.TemporalitySelector, aggregation sdkmetric.AggregationSelector) sdkmetric.Exporter {
	if temporality == nil {
		temporality = sdkmetric.DefaultTemporalitySelector
	}
	if aggregation == nil {
		aggregation = sdkmetric.DefaultAggregationSelector
	}
	return &metricExporter{t.started().newExporter(Metrics, r), temporality, aggregation}
}

// exporter turns each export into requests of its own.
type exporter struct {
	t     *Transport
	dest  *destination
	known scopes
	max   int // bytes of a request
}

func (t *Transport) newExporter(s Signal, r Route) exporter {
	return exporter{
		t: t, dest: t.register(s, r), known: scopes{resource: t.cfg.Resource},
		max: Batch{}.withDefaults(t.cfg.QueueSize).MaxBytes,
	}
}

func (*exporter) ForceFlush(context.Context) error { return nil }

func (*exporter) Shutdown(context.Context) error { return nil }

// export makes requests of n items, of which item returns the scope and appends the
// encoded form.
func (e *exporter) export(n int, item func(i int, b []byte) (*scope, []byte)) error {
	s := getScratch()
	defer s.release()
	var c collection
	var late error
	for i := range n {
		var sc *scope
		if sc, s.b = item(i, s.b[:0]); sc == nil {
			continue
		}
		if c.items() > 0 && c.size+sc.size(s.b) > e.max {
			late = e.handOver(&c)
		}
		c.add(sc, s.b)
	}
	if c.items() > 0 {
		late = e.handOver(&c)
	}
	return late
}

// handOver makes a request of a collection and empties it.
func (e *exporter) handOver(c *collection) error {
	r := newRequest(e.dest.via, c.body(), int64(c.items()))
	c.reset()
	return e.t.accept(e.dest, r)
}

type spanExporter struct{ exporter }

func (e *spanExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	return e.export(len(spans), func(i int, b []byte) (*scope, []byte) {
		span := spans[i]
		if span == nil {
			return nil, b
		}
		return e.known.get(span.Resource(), span.InstrumentationScope()), otlp.AppendSpan(b, span, e.max)
	})
}

type logExporter struct{ exporter }

func (e *logExporter) Export(_ context.Context, records []sdklog.Record) error {
	return e.export(len(records), func(i int, b []byte) (*scope, []byte) {
		r := &records[i]
		return e.known.get(r.Resource(), r.InstrumentationScope()), otlp.AppendLogRecord(b, r, e.max)
	})
}

type metricExporter struct {
	exporter
	temporality sdkmetric.TemporalitySelector
	aggregation sdkmetric.AggregationSelector
}

func (e *metricExporter) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return e.temporality(k)
}

func (e *metricExporter) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return e.aggregation(k)
}

func (e *metricExporter) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	var late error
	err := otlp.Metrics(rm, e.t.cfg.Resource, e.max, func(request []byte, points int64) {
		late = e.t.accept(e.dest, newRequest(e.dest.via, request, points))
	})
	if err != nil {
		return err
	}
	return late
}
