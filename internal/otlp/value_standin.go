package otlp

// This file stands in for value.go, resource.go and utf8.go until they are merged.

import (
	"math"
	"strings"

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
	m := appendString(nil, 1, string(kv.Key))
	m = protowire.AppendTag(m, 2, protowire.BytesType)
	m = protowire.AppendBytes(m, appendValue(nil, kv.Value))
	b = protowire.AppendTag(b, num, protowire.BytesType)
	return protowire.AppendBytes(b, m)
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

func appendAttributes(b []byte, num protowire.Number, iter attribute.Iterator) []byte {
	for iter.Next() {
		b = appendKeyValue(b, num, iter.Attribute())
	}
	return b
}

// AppendResource appends resource = 1 and schema_url = 3.
func AppendResource(b []byte, r *resource.Resource) []byte {
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, appendAttributes(nil, 1, r.Iter()))
	return appendString(b, 3, r.SchemaURL())
}

// AppendScope appends scope = 1 and schema_url = 3.
func AppendScope(b []byte, s instrumentation.Scope) []byte {
	m := appendString(nil, 1, s.Name)
	m = appendString(m, 2, s.Version)
	m = appendAttributes(m, 3, s.Attributes.Iter())
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendBytes(b, m)
	return appendString(b, 3, s.SchemaURL)
}

func appendFixed64(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.Fixed64Type)
	return protowire.AppendFixed64(b, v)
}

func appendVarint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.VarintType)
	return protowire.AppendVarint(b, v)
}
