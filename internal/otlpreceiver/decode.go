package otlpreceiver

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var (
	errTooLarge = errors.New("request too large")
	errTooDeep  = fmt.Errorf("messages nested deeper than %d", maxDepth)
)

// unmarshalBinary decodes the protobuf encoding. What it takes is known from
// costOfBinary, which has found it well-formed too.
func unmarshalBinary(b []byte, msg proto.Message) error {
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, msg)
}

// unmarshalJSON decodes the JSON encoding: that of Protocol Buffers, but with
// trace and span ids in hex.
func unmarshalJSON(b []byte, msg proto.Message) error {
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}).Unmarshal(b, msg); err != nil {
		return err
	}
	return eachID(msg, fromHex)
}

// MarshalJSON returns a traces or logs request, a span, a log record or a part
// of them that has no ids, in OTLP's JSON encoding.
func MarshalJSON(msg proto.Message) ([]byte, error) {
	msg = proto.Clone(msg)
	if err := eachID(msg, toHex); err != nil {
		return nil, err
	}
	return protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(msg)
}

// fromHex undoes what the JSON decoder of Protocol Buffers does to an id in
// hex: it takes it for base64, which loses nothing, since the 32 or 16 digits
// are whole groups of four.
func fromHex(id []byte) ([]byte, error) {
	if len(id) == 0 {
		return id, nil
	}
	text := base64.StdEncoding.EncodeToString(id)
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("id %.64q is not in hex", text)
	}
	return b, nil
}

// toHex does the opposite of fromHex. An id of another length than the
// specification's stays base64: it would not survive otherwise.
func toHex(id []byte) ([]byte, error) {
	if len(id) != 16 && len(id) != 8 {
		return id, nil
	}
	return base64.StdEncoding.DecodeString(hex.EncodeToString(id))
}

// eachID replaces all trace and span ids in a message. Those in exemplars of
// metrics are left out: nothing here reads them.
func eachID(msg proto.Message, change func([]byte) ([]byte, error)) error {
	var errs error
	set := func(ids ...*[]byte) {
		for _, id := range ids {
			b, err := change(*id)
			if err != nil && errs == nil {
				errs = err
			}
			*id = b
		}
	}
	setSpan := func(span *tracepb.Span) {
		set(&span.TraceId, &span.SpanId, &span.ParentSpanId)
		for _, link := range span.GetLinks() {
			set(&link.TraceId, &link.SpanId)
		}
	}
	switch m := msg.(type) {
	case *coltrace.ExportTraceServiceRequest:
		for _, resource := range m.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					setSpan(span)
				}
			}
		}
	case *collogs.ExportLogsServiceRequest:
		for _, resource := range m.GetResourceLogs() {
			for _, scope := range resource.GetScopeLogs() {
				for _, record := range scope.GetLogRecords() {
					set(&record.TraceId, &record.SpanId)
				}
			}
		}
	case *tracepb.Span:
		setSpan(m)
	case *logspb.LogRecord:
		set(&m.TraceId, &m.SpanId)
	}
	return errs
}
