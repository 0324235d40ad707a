// Package otlpjson encodes and decodes OTLP requests as JSON. Their encoding is
// that of Protocol Buffers, except that trace and span ids are hexadecimal text
// (OpenTelemetry Protocol Specification, "JSON Protobuf Encoding").
package otlpjson

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxDepth bounds the nesting of messages that are decoded. An attribute value on
// a span is the sixth level.
const maxDepth = 64

// Marshal returns a request for traces, metrics or logs as JSON.
func Marshal(msg proto.Message) ([]byte, error) {
	msg = proto.Clone(msg)
	if err := eachID(msg.ProtoReflect(), toHex); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(msg)
}

// Unmarshal decodes a request into msg. Fields that msg does not have are ignored.
func Unmarshal(b []byte, msg proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}).Unmarshal(b, msg); err != nil {
		return err
	}
	return eachID(msg.ProtoReflect(), fromHex)
}

// toHex returns the bytes whose base64 is the id in hexadecimal. Package protojson
// writes bytes as base64, and 16 or 32 hexadecimal digits are whole groups of four,
// so that is what it writes then. An id of another length than the specification's
// stays as it is, and comes out as base64: it could not be decoded otherwise.
func toHex(id []byte) ([]byte, error) {
	if len(id) != 16 && len(id) != 8 {
		return id, nil
	}
	return base64.StdEncoding.DecodeString(hex.EncodeToString(id))
}

// fromHex returns the id that protojson has read as base64.
func fromHex(id []byte) ([]byte, error) {
	text := base64.StdEncoding.EncodeToString(id)
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("id %.64q is not in hex", text)
	}
	return b, nil
}

var isID = map[protoreflect.Name]bool{"trace_id": true, "span_id": true, "parent_span_id": true}

// common is the package of attributes and their values, which have no ids.
const common = "opentelemetry.proto.common.v1"

// eachID changes all trace and span ids in m that are set.
func eachID(m protoreflect.Message, change func([]byte) ([]byte, error)) (err error) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() == protoreflect.BytesKind && isID[field.Name()]:
			var id []byte
			if id, err = change(v.Bytes()); err == nil {
				m.Set(field, protoreflect.ValueOfBytes(id))
			}
		case field.Kind() != protoreflect.MessageKind, field.Message().ParentFile().Package() == common:
		case field.IsList():
			for i := 0; i < v.List().Len() && err == nil; i++ {
				err = eachID(v.List().Get(i).Message(), change)
			}
		default:
			err = eachID(v.Message(), change)
		}
		return err == nil
	})
	return err
}
