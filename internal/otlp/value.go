package otlp

import (
	"encoding/binary"
	"math"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of opentelemetry.proto.common.v1.
const (
	keyValueKey   protowire.Number = 1
	keyValueValue protowire.Number = 2

	anyString protowire.Number = 1
	anyBool   protowire.Number = 2
	anyInt    protowire.Number = 3
	anyDouble protowire.Number = 4
	anyArray  protowire.Number = 5
	anyKvlist protowire.Number = 6
	anyBytes  protowire.Number = 7

	listValues protowire.Number = 1 // of ArrayValue and of KeyValueList
)

// maxNesting is the number of lists and maps within each other that are written as such. What is
// deeper is written as text. A map takes three levels of messages, and a value of a log record
// begins at the sixth, so that the deepest is below 64, the smallest bound known of a decoder.
const maxNesting = 16

// appendKeyValue appends a field with a KeyValue message: tag, length, key and value. The number is
// at most 15.
func appendKeyValue(b []byte, num protowire.Number, kv attribute.KeyValue) []byte {
	return appendKeyValueAt(b, num, kv, 0)
}

// appendKeyValueAt is for a KeyValue within so many lists and maps.
func appendKeyValueAt(b []byte, num protowire.Number, kv attribute.KeyValue, nesting int) []byte {
	if kv.Value.Type() == attribute.STRING && kv.Key != "" {
		key, text := validText(string(kv.Key)), validText(kv.Value.AsString())
		if n := 2 + len(key) + 4 + len(text); n < 0x80 { // most attributes: each length is one byte
			b = append(b, byte(num)<<3|byte(protowire.BytesType), byte(n))
			b = append(b, byte(keyValueKey)<<3|byte(protowire.BytesType), byte(len(key)))
			b = append(b, key...)
			b = append(b, byte(keyValueValue)<<3|byte(protowire.BytesType), byte(2+len(text)))
			b = append(b, byte(anyString)<<3|byte(protowire.BytesType), byte(len(text)))
			return append(b, text...)
		}
	}
	b, at := openMessage(b, num)
	b = appendString(b, keyValueKey, string(kv.Key))
	b = appendAnyValue(b, keyValueValue, kv.Value, nesting)
	return closeMessage(b, at)
}

func appendKeyValues(b []byte, num protowire.Number, attrs []attribute.KeyValue) []byte {
	for i := range attrs {
		b = appendKeyValue(b, num, attrs[i])
	}
	return b
}

func appendAttributeSet(b []byte, num protowire.Number, iter attribute.Iterator) []byte {
	for iter.Next() {
		b = appendKeyValue(b, num, iter.Attribute())
	}
	return b
}

// appendAnyValue appends a field with an AnyValue message, which is empty for an empty value.
func appendAnyValue(b []byte, num protowire.Number, v attribute.Value, nesting int) []byte {
	b, at := openMessage(b, num)
	switch v.Type() {
	case attribute.STRING:
		b = appendBytes(b, anyString, validText(v.AsString()))
	case attribute.BOOL:
		b = appendBool(b, v.AsBool())
	case attribute.INT64:
		b = appendInt(b, v.AsInt64())
	case attribute.FLOAT64:
		b = appendDouble(b, v.AsFloat64())
	case attribute.BYTESLICE:
		bytes := v.AsByteSlice()
		b = append(b, byte(anyBytes)<<3|byte(protowire.BytesType))
		b = appendVarint(b, uint64(len(bytes)))
		b = append(b, bytes...)
	case attribute.EMPTY:
	default:
		b = appendCollection(b, v, nesting)
	}
	return closeMessage(b, at)
}

// appendCollection appends the field of AnyValue for a list or a map.
func appendCollection(b []byte, v attribute.Value, nesting int) []byte {
	if nesting == maxNesting {
		return appendBytes(b, anyString, validText(v.String()))
	}
	switch v.Type() {
	case attribute.STRINGSLICE:
		return appendArray(b, v.AsStringSlice(), func(b []byte, s string) []byte {
			return appendBytes(b, anyString, validText(s))
		})
	case attribute.BOOLSLICE:
		return appendArray(b, v.AsBoolSlice(), appendBool)
	case attribute.INT64SLICE:
		return appendArray(b, v.AsInt64Slice(), appendInt)
	case attribute.FLOAT64SLICE:
		return appendArray(b, v.AsFloat64Slice(), appendDouble)
	case attribute.SLICE:
		b, at := openMessage(b, anyArray)
		for _, element := range v.AsSlice() {
			b = appendAnyValue(b, listValues, element, nesting+1)
		}
		return closeMessage(b, at)
	case attribute.MAP:
		b, at := openMessage(b, anyKvlist)
		for _, entry := range unique(v.AsMap()) {
			b = appendKeyValueAt(b, listValues, entry, nesting+1)
		}
		return closeMessage(b, at)
	}
	return appendBytes(b, anyString, "INVALID") // a kind that this version does not know
}

// appendArray appends an ArrayValue whose elements are written by element.
func appendArray[T any](b []byte, list []T, element func([]byte, T) []byte) []byte {
	b, array := openMessage(b, anyArray)
	for _, v := range list {
		var at int
		b, at = openMessage(b, listValues)
		b = closeMessage(element(b, v), at)
	}
	return closeMessage(b, array)
}

// The value of AnyValue is a oneof, of which a zero is written as well.

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, byte(anyBool)<<3, 1)
	}
	return append(b, byte(anyBool)<<3, 0)
}

func appendInt(b []byte, v int64) []byte {
	return appendVarint(append(b, byte(anyInt)<<3), uint64(v))
}

func appendDouble(b []byte, v float64) []byte {
	b = append(b, byte(anyDouble)<<3|byte(protowire.Fixed64Type))
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}
