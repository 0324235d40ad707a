package otlp

import (
	"errors"
	"fmt"
	"math"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/encoding/protowire"
)

// Metrics encodes rm as ExportMetricsServiceRequest messages and calls emit with each
// and the number of data points in it. The resource is res, or that of rm if res is
// nil. Emit may keep the slice.
//
// A request is at most bound bytes long (0: no bound), unless a single data point makes
// it longer, or the resource, scope and description that are repeated with each part
// of a metric are longer than the bound by themselves and so do not count. There is at least
// one request, even without any data points, unless rm is nil.
//
// A metric of unknown aggregation or temporality is left out. The error names each.
func Metrics(rm *metricdata.ResourceMetrics, res *resource.Resource, bound int, emit func(request []byte, points int64)) error {
	if rm == nil {
		return nil
	}
	if res == nil {
		res = rm.Resource
	}
	d := divider{max: bound, emit: emit}
	l := d.enter(0, 1)
	l.head = AppendResource(l.head, res)
	var errs []error
	for i := range rm.ScopeMetrics {
		errs = append(errs, d.scope(&rm.ScopeMetrics[i])...)
	}
	if len(rm.ScopeMetrics) == 0 {
		d.add(1, nil, 0)
	}
	d.flush()
	return errors.Join(errs...)
}

// scope adds a ScopeMetrics message.
func (d *divider) scope(sm *metricdata.ScopeMetrics) (errs []error) {
	l := d.enter(1, 2)
	l.head = AppendScope(l.head, sm.Scope)
	for i := range sm.Metrics {
		m := &sm.Metrics[i]
		if err := d.metric(m); err != nil {
			errs = append(errs, fmt.Errorf("invalid metric (name: %q, description: %q, unit: %q): %w", m.Name, m.Description, m.Unit, err))
		}
	}
	if len(errs) == len(sm.Metrics) { // none was added
		d.add(2, nil, 0)
	}
	return errs
}

// metric adds a Metric message.
func (d *divider) metric(m *metricdata.Metrics) error {
	l := d.enter(2, 2)
	l.head = appendString(l.head, 1, m.Name)
	l.head = appendString(l.head, 2, m.Description)
	l.head = appendString(l.head, 3, m.Unit)
	switch a := m.Data.(type) {
	case metricdata.Gauge[int64]:
		d.enter(3, 5)
		addPoints(d, a.DataPoints, appendNumber)
	case metricdata.Gauge[float64]:
		d.enter(3, 5)
		addPoints(d, a.DataPoints, appendNumber)
	case metricdata.Sum[int64]:
		return addTemporal(d, 7, a.Temporality, a.IsMonotonic, a.DataPoints, appendNumber)
	case metricdata.Sum[float64]:
		return addTemporal(d, 7, a.Temporality, a.IsMonotonic, a.DataPoints, appendNumber)
	case metricdata.Histogram[int64]:
		return addTemporal(d, 9, a.Temporality, false, a.DataPoints, appendHistogram)
	case metricdata.Histogram[float64]:
		return addTemporal(d, 9, a.Temporality, false, a.DataPoints, appendHistogram)
	case metricdata.ExponentialHistogram[int64]:
		return addTemporal(d, 10, a.Temporality, false, a.DataPoints, appendExponential)
	case metricdata.ExponentialHistogram[float64]:
		return addTemporal(d, 10, a.Temporality, false, a.DataPoints, appendExponential)
	case metricdata.Summary:
		d.enter(3, 11)
		addPoints(d, a.DataPoints, appendSummary)
	default:
		return fmt.Errorf("unknown aggregation: %T", a)
	}
	return nil
}

// addTemporal adds the message of a kind that has a temporality.
func addTemporal[P any](
	d *divider, num protowire.Number, t metricdata.Temporality, monotonic bool, points []P, appendPoint func([]byte, *P) []byte,
) error {
	var temporality uint64 // AggregationTemporality
	switch t {
	case metricdata.DeltaTemporality:
		temporality = 1
	case metricdata.CumulativeTemporality:
		temporality = 2
	default:
		return fmt.Errorf("unknown temporality: %s", t)
	}
	l := d.enter(3, num)
	l.head = appendUint(l.head, 2, temporality)
	l.head = appendUint(l.head, 3, protowire.EncodeBool(monotonic))
	addPoints(d, points, appendPoint)
	return nil
}

// addPoints adds data points, or the message of their kind without any.
func addPoints[P any](d *divider, points []P, appendPoint func([]byte, *P) []byte) {
	for i := range points {
		b, start := openMessage(d.point[:0], 1)
		d.point = closeMessage(appendPoint(b, &points[i]), start)
		if i == 0 { // the other points of a metric have about the same length
			d.reserve(len(points) * len(d.point))
		}
		d.add(4, d.point, 1)
	}
	if len(points) == 0 {
		d.add(4, nil, 0)
	}
}

// appendNumber appends the fields of a NumberDataPoint.
func appendNumber[N int64 | float64](b []byte, p *metricdata.DataPoint[N]) []byte {
	b = appendTimes(b, p.StartTime, p.Time)
	b = appendEither(b, 4, 6, p.Value)
	b = appendExemplars(b, 5, p.Exemplars)
	return appendAttributeSet(b, 7, p.Attributes.Iter())
}

// appendHistogram appends the fields of a HistogramDataPoint.
func appendHistogram[N int64 | float64](b []byte, p *metricdata.HistogramDataPoint[N]) []byte {
	b = appendTimes(b, p.StartTime, p.Time)
	b = appendFixed64(b, 4, p.Count)
	b = appendOptional(b, 5, float64(p.Sum))
	if len(p.BucketCounts) > 0 {
		b = protowire.AppendTag(b, 6, protowire.BytesType)
		b = appendVarint(b, uint64(8*len(p.BucketCounts)))
		for _, n := range p.BucketCounts {
			b = protowire.AppendFixed64(b, n)
		}
	}
	if len(p.Bounds) > 0 {
		b = protowire.AppendTag(b, 7, protowire.BytesType)
		b = appendVarint(b, uint64(8*len(p.Bounds)))
		for _, v := range p.Bounds {
			b = protowire.AppendFixed64(b, math.Float64bits(v))
		}
	}
	b = appendExemplars(b, 8, p.Exemplars)
	b = appendAttributeSet(b, 9, p.Attributes.Iter())
	return appendExtrema(b, 11, p.Min, p.Max)
}

// appendExponential appends the fields of an ExponentialHistogramDataPoint.
func appendExponential[N int64 | float64](b []byte, p *metricdata.ExponentialHistogramDataPoint[N]) []byte {
	b = appendAttributeSet(b, 1, p.Attributes.Iter())
	b = appendTimes(b, p.StartTime, p.Time)
	b = appendFixed64(b, 4, p.Count)
	b = appendOptional(b, 5, float64(p.Sum))
	b = appendSint32(b, 6, p.Scale)
	b = appendFixed64(b, 7, p.ZeroCount)
	b = appendBuckets(b, 8, &p.PositiveBucket)
	b = appendBuckets(b, 9, &p.NegativeBucket)
	b = appendExemplars(b, 11, p.Exemplars)
	b = appendExtrema(b, 12, p.Min, p.Max)
	return appendFixed64(b, 14, math.Float64bits(p.ZeroThreshold))
}

func appendBuckets(b []byte, num protowire.Number, buckets *metricdata.ExponentialBucket) []byte {
	b, start := openMessage(b, num)
	b = appendSint32(b, 1, buckets.Offset)
	if len(buckets.Counts) > 0 {
		var packed int
		b, packed = openMessage(b, 2)
		for _, n := range buckets.Counts {
			b = appendVarint(b, n)
		}
		b = closeMessage(b, packed)
	}
	return closeMessage(b, start)
}

// appendSummary appends the fields of a SummaryDataPoint.
func appendSummary(b []byte, p *metricdata.SummaryDataPoint) []byte {
	b = appendTimes(b, p.StartTime, p.Time)
	b = appendFixed64(b, 4, p.Count)
	b = appendFixed64(b, 5, math.Float64bits(p.Sum))
	for _, q := range p.QuantileValues {
		var start int
		b, start = openMessage(b, 6)
		b = appendFixed64(b, 1, math.Float64bits(q.Quantile))
		b = appendFixed64(b, 2, math.Float64bits(q.Value))
		b = closeMessage(b, start)
	}
	return appendAttributeSet(b, 7, p.Attributes.Iter())
}

// appendTimes appends the times of a data point, which has them in the same fields
// whatever its kind.
func appendTimes(b []byte, start, end time.Time) []byte {
	return appendTime(appendTime(b, 2, start), 3, end)
}

func appendExemplars[N int64 | float64](b []byte, num protowire.Number, exemplars []metricdata.Exemplar[N]) []byte {
	for i := range exemplars {
		e := &exemplars[i]
		var start int
		b, start = openMessage(b, num)
		b = appendTime(b, 2, e.Time)
		b = appendEither(b, 3, 6, e.Value)
		b = appendID(b, 4, e.SpanID)
		b = appendID(b, 5, e.TraceID)
		b = appendKeyValues(b, 7, e.FilteredAttributes)
		b = closeMessage(b, start)
	}
	return b
}

// appendEither appends the value of a point or an exemplar, which is one of two
// fields and is written even if it is 0.
func appendEither[N int64 | float64](b []byte, double, integer protowire.Number, value N) []byte {
	switch v := any(value).(type) {
	case int64:
		b = protowire.AppendTag(b, integer, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, uint64(v))
	case float64:
		b = appendOptional(b, double, v)
	}
	return b
}

// appendExtrema appends the least and the greatest value, if they are known: the
// second in the field after the first.
func appendExtrema[N int64 | float64](b []byte, num protowire.Number, least, greatest metricdata.Extrema[N]) []byte {
	if v, ok := least.Value(); ok {
		b = appendOptional(b, num, float64(v))
	}
	if v, ok := greatest.Value(); ok {
		b = appendOptional(b, num+1, float64(v))
	}
	return b
}

// appendOptional appends a field whose presence means something, even if it is 0.
func appendOptional(b []byte, num protowire.Number, v float64) []byte {
	b = protowire.AppendTag(b, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, math.Float64bits(v))
}

// appendID appends a trace or span id, if there is one.
func appendID(b []byte, num protowire.Number, id []byte) []byte {
	if len(id) == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, id)
}

func appendSint32(b []byte, num protowire.Number, v int32) []byte {
	return appendUint(b, num, protowire.EncodeZigZag(int64(v)))
}

// appendFixed64 appends a fixed64 or, given its bits, a double.
func appendFixed64(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}
