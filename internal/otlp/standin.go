// Package otlp encodes telemetry as OTLP. This file is a stand-in with the least
// that tests need, until the encoders replace it.
package otlp

import (
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

func str(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), strings.ToValidUTF8(s, "\uFFFD"))
}

func msg(b []byte, num protowire.Number, m []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), m)
}

func keyValue(b []byte, num protowire.Number, kv attribute.KeyValue) []byte {
	var inner []byte
	inner = str(inner, 1, string(kv.Key))
	return msg(b, num, msg(inner, 2, str(nil, 1, kv.Value.Emit())))
}

// AppendSpan appends the Span message.
func AppendSpan(b []byte, s sdktrace.ReadOnlySpan, _ int) []byte {
	tid, sid := s.SpanContext().TraceID(), s.SpanContext().SpanID()
	b = append(append(b, 1<<3|2, 16), tid[:]...)
	b = append(append(b, 2<<3|2, 8), sid[:]...)
	b = str(b, 5, s.Name())
	for _, kv := range s.Attributes() {
		b = keyValue(b, 9, kv)
	}
	return b
}

// AppendLogRecord appends the LogRecord message.
func AppendLogRecord(b []byte, r *sdklog.Record, _ int) []byte {
	return msg(b, 5, str(nil, 1, r.Body().Emit()))
}

// AppendResource appends what describes the resource.
func AppendResource(b []byte, r *resource.Resource) []byte {
	var inner []byte
	for _, kv := range r.Attributes() {
		inner = keyValue(inner, 1, kv)
	}
	return str(msg(b, 1, inner), 3, r.SchemaURL())
}

// AppendScope appends what describes the scope.
func AppendScope(b []byte, s instrumentation.Scope) []byte {
	return str(msg(b, 1, str(nil, 1, s.Name)), 3, s.SchemaURL)
}

// Metrics encodes integer sums.
func Metrics(rm *metricdata.ResourceMetrics, res *resource.Resource, _ int, emit func(request []byte, points int64)) error {
	if res == nil {
		res = rm.Resource
	}
	body, points := AppendResource(nil, res), int64(0)
	for _, sm := range rm.ScopeMetrics {
		scope := AppendScope(nil, sm.Scope)
		for _, m := range sm.Metrics {
			var data []byte
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
				for _, p := range sum.DataPoints {
					data = msg(data, 1, protowire.AppendFixed64(protowire.AppendTag(nil, 6, protowire.Fixed64Type), uint64(p.Value)))
					points++
				}
			}
			scope = msg(scope, 2, msg(str(nil, 1, m.Name), 7, data))
		}
		body = msg(body, 2, scope)
	}
	if points > 0 {
		emit(msg(nil, 1, body), points)
	}
	return nil
}

// Request names the three messages.
type Request uint8

// The three requests.
const (
	TraceRequest Request = iota
	MetricsRequest
	LogsRequest
)

// AppendJSON is not there yet.
func AppendJSON(b []byte, _ Request, body []byte) ([]byte, error) { return append(b, body...), nil }
