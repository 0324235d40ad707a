package otlp

import (
	"encoding/json"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The answers to the three export requests have the same shape (opentelemetry/proto/collector):
//
//	response       { PartialSuccess = 1 }
//	PartialSuccess { int64 rejected = 1; string error_message = 2 }
//
// In JSON, the number is called rejectedSpans, rejectedDataPoints or rejectedLogRecords. The Go
// packages of these messages import gRPC and its gateway, which this package does without.

// Answer is what a server says about a request that it took (OpenTelemetry Protocol
// Specification, "Partial Success"). The zero value says that it took everything.
type Answer struct {
	Rejected int64 // items that it refused
	Message  string
}

// Append appends the answer in the binary encoding to b.
func (a Answer) Append(b []byte) []byte {
	if a == (Answer{}) {
		return b
	}
	partial := appendUint(nil, 1, uint64(a.Rejected)) //nolint:gosec // int64 on the wire
	return protowire.AppendBytes(protowire.AppendTag(b, 1, protowire.BytesType), appendString(partial, 2, a.Message))
}

// JSON returns the answer in the JSON encoding. rejected is the name of the number.
func (a Answer) JSON(rejected string) ([]byte, error) {
	if a == (Answer{}) {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]any{"partialSuccess": map[string]string{
		rejected: strconv.FormatInt(a.Rejected, 10), "errorMessage": a.Message,
	}})
}

// DecodeAnswer reads the binary encoding. If it finds an error, it also returns what it has read.
func DecodeAnswer(b []byte) (a Answer, err error) {
	err = eachField(b, func(num protowire.Number, typ protowire.Type, value []byte) error {
		if num != 1 || typ != protowire.BytesType {
			return nil
		}
		partial, _ := protowire.ConsumeBytes(value)
		return eachField(partial, func(num protowire.Number, typ protowire.Type, value []byte) error {
			switch {
			case num == 1 && typ == protowire.VarintType:
				v, _ := protowire.ConsumeVarint(value)
				a.Rejected = max(0, int64(v)) //nolint:gosec // int64 on the wire
			case num == 2 && typ == protowire.BytesType:
				v, _ := protowire.ConsumeBytes(value)
				a.Message = string(v)
			}
			return nil
		})
	})
	return a, err
}

// eachField calls fn with each field of a message.
func eachField(msg []byte, fn func(num protowire.Number, typ protowire.Type, value []byte) error) error {
	for len(msg) > 0 {
		num, typ, tag := protowire.ConsumeTag(msg)
		if tag < 0 {
			return protowire.ParseError(tag)
		}
		n := protowire.ConsumeFieldValue(num, typ, msg[tag:])
		if n < 0 {
			return protowire.ParseError(n)
		}
		if err := fn(num, typ, msg[tag:tag+n]); err != nil {
			return err
		}
		msg = msg[tag+n:]
	}
	return nil
}

// DecodeAnswerJSON reads the JSON encoding. It accepts the number as a number or, as proto3 JSON
// writes 64-bit integers, as a string.
func DecodeAnswerJSON(b []byte) (a Answer, err error) {
	var answer struct {
		PartialSuccess struct {
			RejectedSpans, RejectedDataPoints, RejectedLogRecords json.RawMessage

			ErrorMessage string
		}
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return Answer{}, err
	}
	p := answer.PartialSuccess
	for _, raw := range []json.RawMessage{p.RejectedSpans, p.RejectedDataPoints, p.RejectedLogRecords} {
		if v, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64); err == nil {
			a.Rejected += max(v, 0)
		}
	}
	a.Message = p.ErrorMessage
	return a, nil
}
