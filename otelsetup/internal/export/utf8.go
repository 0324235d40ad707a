package export

import (
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Protobuf takes UTF-8 only, and of a batch with one text that is not, such as
// the path of a request for /%ff, an exporter sends nothing. Such a batch is
// exported again, with U+FFFD in place of what is not UTF-8.

// notUTF8 reports whether an export failed for that.
func notUTF8(err error) bool {
	return err != nil && strings.Contains(err.Error(), "invalid UTF-8") // what protobuf's encoder says
}

func validText(s string) string { return strings.ToValidUTF8(s, string(utf8.RuneError)) }

func validValue(v attribute.Value) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(validText(v.AsString()))
	case attribute.STRINGSLICE:
		return attribute.StringSliceValue(validEach(v.AsStringSlice(), validText))
	case attribute.SLICE:
		return attribute.SliceValue(validEach(v.AsSlice(), validValue)...)
	case attribute.MAP:
		return attribute.MapValue(validEach(v.AsMap(), validAttribute)...)
	}
	return v
}

func validAttribute(a attribute.KeyValue) attribute.KeyValue {
	return attribute.KeyValue{Key: attribute.Key(validText(string(a.Key))), Value: validValue(a.Value)}
}

func validSet(set attribute.Set) attribute.Set {
	return attribute.NewSet(validEach(set.ToSlice(), validAttribute)...)
}

// validEach returns a copy.
func validEach[T any](list []T, valid func(T) T) []T {
	list = slices.Clone(list)
	for i := range list {
		list[i] = valid(list[i])
	}
	return list
}

// ValidResource returns a resource whose texts are UTF-8.
func ValidResource(r *resource.Resource) *resource.Resource {
	return resource.NewWithAttributes(r.SchemaURL(), validEach(r.Attributes(), validAttribute)...)
}

type validSpan struct{ sdktrace.ReadOnlySpan }

func newValidSpan(s sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan { return validSpan{s} }

func (s validSpan) Name() string { return validText(s.ReadOnlySpan.Name()) }

func (s validSpan) Attributes() []attribute.KeyValue {
	return validEach(s.ReadOnlySpan.Attributes(), validAttribute)
}

func (s validSpan) Status() sdktrace.Status {
	status := s.ReadOnlySpan.Status()
	status.Description = validText(status.Description)
	return status
}

func (s validSpan) Events() []sdktrace.Event {
	return validEach(s.ReadOnlySpan.Events(), func(e sdktrace.Event) sdktrace.Event {
		e.Name, e.Attributes = validText(e.Name), validEach(e.Attributes, validAttribute)
		return e
	})
}

func (s validSpan) Links() []sdktrace.Link {
	return validEach(s.ReadOnlySpan.Links(), func(l sdktrace.Link) sdktrace.Link {
		l.Attributes = validEach(l.Attributes, validAttribute)
		return l
	})
}

func validRecord(r sdklog.Record) sdklog.Record {
	r = r.Clone()
	r.SetEventName(validText(r.EventName()))
	r.SetSeverityText(validText(r.SeverityText()))
	r.SetBody(validValue(r.Body()))
	var attrs []attribute.KeyValue
	r.WalkAttributes(func(a attribute.KeyValue) bool {
		attrs = append(attrs, validAttribute(a))
		return true
	})
	r.SetAttributes(attrs...)
	return r
}

func validMetrics(rm *metricdata.ResourceMetrics) *metricdata.ResourceMetrics {
	valid := *rm
	valid.ScopeMetrics = validEach(rm.ScopeMetrics, func(scope metricdata.ScopeMetrics) metricdata.ScopeMetrics {
		scope.Metrics = validEach(scope.Metrics, func(m metricdata.Metrics) metricdata.Metrics {
			m.Description, m.Unit, m.Data = validText(m.Description), validText(m.Unit), validAggregation(m.Data)
			return m
		})
		return scope
	})
	return &valid
}

func validAggregation(a metricdata.Aggregation) metricdata.Aggregation {
	switch data := a.(type) {
	case metricdata.Gauge[int64]:
		data.DataPoints = validEach(data.DataPoints, validPoint)
		return data
	case metricdata.Gauge[float64]:
		data.DataPoints = validEach(data.DataPoints, validPoint)
		return data
	case metricdata.Sum[int64]:
		data.DataPoints = validEach(data.DataPoints, validPoint)
		return data
	case metricdata.Sum[float64]:
		data.DataPoints = validEach(data.DataPoints, validPoint)
		return data
	case metricdata.Histogram[int64]:
		data.DataPoints = validEach(data.DataPoints, validHistogram)
		return data
	case metricdata.Histogram[float64]:
		data.DataPoints = validEach(data.DataPoints, validHistogram)
		return data
	case metricdata.ExponentialHistogram[int64]:
		data.DataPoints = validEach(data.DataPoints, validExponential)
		return data
	case metricdata.ExponentialHistogram[float64]:
		data.DataPoints = validEach(data.DataPoints, validExponential)
		return data
	case metricdata.Summary:
		data.DataPoints = validEach(data.DataPoints, func(p metricdata.SummaryDataPoint) metricdata.SummaryDataPoint {
			p.Attributes = validSet(p.Attributes)
			return p
		})
		return data
	}
	return a
}

func validPoint[N int64 | float64](p metricdata.DataPoint[N]) metricdata.DataPoint[N] {
	p.Attributes, p.Exemplars = validSet(p.Attributes), validEach(p.Exemplars, validExemplar)
	return p
}

func validHistogram[N int64 | float64](p metricdata.HistogramDataPoint[N]) metricdata.HistogramDataPoint[N] {
	p.Attributes, p.Exemplars = validSet(p.Attributes), validEach(p.Exemplars, validExemplar)
	return p
}

func validExponential[N int64 | float64](p metricdata.ExponentialHistogramDataPoint[N]) metricdata.ExponentialHistogramDataPoint[N] {
	p.Attributes, p.Exemplars = validSet(p.Attributes), validEach(p.Exemplars, validExemplar)
	return p
}

func validExemplar[N int64 | float64](e metricdata.Exemplar[N]) metricdata.Exemplar[N] {
	e.FilteredAttributes = validEach(e.FilteredAttributes, validAttribute)
	return e
}
