package view

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// Attribute is a key with its value as text.
type Attribute struct {
	Key   string `json:"key"`
	Type  string `json:"type"` // string, bool, int, double, bytes, array, map, or empty for no value
	Value string `json:"value"`
}

func attributes(kvs []*commonpb.KeyValue) []Attribute {
	attrs := make([]Attribute, len(kvs))
	for i, kv := range kvs {
		attrs[i] = Attribute{kv.GetKey(), valueType(kv.GetValue()), valueText(kv.GetValue())}
	}
	return attrs
}

func valueType(v *commonpb.AnyValue) string {
	switch v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return "string"
	case *commonpb.AnyValue_BoolValue:
		return "bool"
	case *commonpb.AnyValue_IntValue:
		return "int"
	case *commonpb.AnyValue_DoubleValue:
		return "double"
	case *commonpb.AnyValue_BytesValue:
		return "bytes"
	case *commonpb.AnyValue_ArrayValue:
		return "array"
	case *commonpb.AnyValue_KvlistValue:
		return "map"
	default:
		return ""
	}
}

// valueText returns a value on one line: arrays and maps as JSON, bytes in base64.
func valueText(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case nil:
		return ""
	}
	b, err := json.Marshal(plain(v))
	if err != nil { // a double such as NaN, which JSON cannot represent
		return v.String()
	}
	return string(b)
}

// plain returns a value in the types that encoding/json writes without more help. The
// receiver bounds its depth.
func plain(v *commonpb.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_ArrayValue:
		list := make([]any, len(v.ArrayValue.GetValues()))
		for i, e := range v.ArrayValue.GetValues() {
			list[i] = plain(e)
		}
		return list
	case *commonpb.AnyValue_KvlistValue:
		m := make(map[string]any, len(v.KvlistValue.GetValues()))
		for _, kv := range v.KvlistValue.GetValues() {
			m[kv.GetKey()] = plain(kv.GetValue())
		}
		return m
	case *commonpb.AnyValue_BoolValue:
		return v.BoolValue
	case *commonpb.AnyValue_IntValue:
		return v.IntValue
	case *commonpb.AnyValue_DoubleValue:
		return v.DoubleValue
	case nil:
		return nil
	}
	return valueText(v)
}
