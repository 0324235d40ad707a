package otlp

// This file stands in for value.go, resource.go, utf8.go and wire.go until they are merged.

import (
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/encoding/protowire"
)

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendString(b, strings.ToValidUTF8(s, "\uFFFD"))
}

func appendKeyValue(b []byte, num protowire.Number, kv attribute.KeyValue) []byte {
	b, start := openMessage(b, num)
	b = appendString(b, 1, string(kv.Key))
	b, value := openMessage(b, 2)
	b = closeMessage(appendValue(b, kv.Value), value)
	return closeMessage(b, start)
}

func appendValue(b []byte, v attribute.Value) []byte {
	switch v.Type() {
	case attribute.BOOL:
		b = protowire.AppendTag(b, 2, protowire.VarintType)
		return protowire.AppendVarint(b, protowire.EncodeBool(v.AsBool()))
	case attribute.INT64:
		b = protowire.AppendTag(b, 3, protowire.VarintType)
		return protowire.AppendVarint(b, uint64(v.AsInt64()))
	case attribute.FLOAT64:
		b = protowire.AppendTag(b, 4, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, math.Float64bits(v.AsFloat64()))
	default:
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		return protowire.AppendString(b, strings.ToValidUTF8(v.AsString(), "\uFFFD"))
	}
}

func appendAttributeSet(b []byte, num protowire.Number, iter attribute.Iterator) []byte {
	for iter.Next() {
		b = appendKeyValue(b, num, iter.Attribute())
	}
	return b
}

// AppendResource appends resource = 1 and schema_url = 3.
func AppendResource(b []byte, r *resource.Resource) []byte {
	if r.Len() > 0 {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, appendAttributeSet(nil, 1, r.Iter()))
	}
	return appendString(b, 3, r.SchemaURL())
}

// AppendScope appends scope = 1 and schema_url = 3.
func AppendScope(b []byte, s instrumentation.Scope) []byte {
	m := appendString(nil, 1, s.Name)
	m = appendString(m, 2, s.Version)
	m = appendAttributeSet(m, 3, s.Attributes.Iter())
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, m)
	return appendString(b, 3, s.SchemaURL)
}

func appendKeyValues(b []byte, num protowire.Number, attrs []attribute.KeyValue) []byte {
	for _, kv := range attrs {
		b = appendKeyValue(b, num, kv)
	}
	return b
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return appendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendVarint(b []byte, v uint64) []byte { return protowire.AppendVarint(b, v) }

func appendTime(b []byte, num protowire.Number, t time.Time) []byte {
	return appendFixed64(b, num, uint64(max(0, t.UnixNano())))
}

func openMessage(b []byte, num protowire.Number) (_ []byte, start int) {
	b = append(protowire.AppendTag(b, num, protowire.BytesType), 0)
	return b, len(b)
}

func closeMessage(b []byte, start int) []byte {
	var length [10]byte
	n := len(b) - start
	l := protowire.AppendVarint(length[:0], uint64(n))
	b = append(b, l[1:]...)
	copy(b[start-1+len(l):], b[start:start+n])
	copy(b[start-1:], l)
	return b
}
