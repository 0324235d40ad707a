package otlpreceiver

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxDepth bounds the nesting of messages. An attribute value on a span is
	// the sixth level.
	maxDepth = 64
	// maxMessages bounds the messages in a request. Decoded, a message takes
	// two hundred bytes even if it was two bytes on the wire; a request of
	// 20 MiB with ordinary spans holds a third of this number.
	maxMessages = 1_000_000
)

var (
	errTooLarge = errors.New("request too large")
	errTooDeep  = fmt.Errorf("messages nested deeper than %d", maxDepth)
)

// unmarshalBinary decodes the protobuf encoding, after a look at its size.
func unmarshalBinary(b []byte, msg proto.Message) error {
	c := counter{left: maxMessages}
	if err := c.walk(msg.ProtoReflect().Descriptor(), b, maxDepth); err != nil {
		return err
	}
	return proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(b, msg)
}

// counter counts messages before anything is allocated for them.
type counter struct{ left int }

func (c *counter) walk(md protoreflect.MessageDescriptor, b []byte, depth int) error {
	if depth == 0 {
		return errTooDeep
	}
	if c.left--; c.left < 0 {
		return fmt.Errorf("%w: more than %d messages", errTooLarge, maxMessages)
	}
	fields := md.Fields()
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return protowire.ParseError(n)
		}
		value := b[:n]
		b = b[n:]
		if typ != protowire.BytesType {
			continue
		}
		if fd := fields.ByNumber(num); fd != nil && fd.Message() != nil {
			inner, _ := protowire.ConsumeBytes(value)
			if err := c.walk(fd.Message(), inner, depth-1); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmarshalJSON decodes the JSON encoding: that of Protocol Buffers, but with
// trace and span ids in hex.
func unmarshalJSON(b []byte, msg proto.Message) error {
	if n := bytes.Count(b, []byte("{")) + bytes.Count(b, []byte("[")); n > maxMessages {
		return fmt.Errorf("%w: more than %d objects and arrays", errTooLarge, maxMessages)
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxDepth}).Unmarshal(b, msg); err != nil {
		return err
	}
	return eachID(msg, fromHex)
}

// MarshalJSON returns msg, a trace or logs request, in OTLP's JSON encoding.
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
		return nil, fmt.Errorf("id %q is not in hex", text)
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

// eachID replaces all trace and span ids in a request. Those in exemplars of
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
	switch req := msg.(type) {
	case *coltrace.ExportTraceServiceRequest:
		for _, resource := range req.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				for _, span := range scope.GetSpans() {
					set(&span.TraceId, &span.SpanId, &span.ParentSpanId)
					for _, link := range span.GetLinks() {
						set(&link.TraceId, &link.SpanId)
					}
				}
			}
		}
	case *collogs.ExportLogsServiceRequest:
		for _, resource := range req.GetResourceLogs() {
			for _, scope := range resource.GetScopeLogs() {
				for _, record := range scope.GetLogRecords() {
					set(&record.TraceId, &record.SpanId)
				}
			}
		}
	}
	return errs
}

// readAll is io.ReadAll with a buffer of the right size if the hint is good.
func readAll(r io.Reader, hint int64) ([]byte, error) {
	var b bytes.Buffer
	if hint > 0 {
		b.Grow(int(min(hint, MaxBody)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}
