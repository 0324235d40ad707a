package otlpreceiver

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/otlpjson"
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

// unmarshalJSON decodes the JSON encoding, after a look at its size.
func unmarshalJSON(b []byte, msg proto.Message) error {
	if n := bytes.Count(b, []byte("{")) + bytes.Count(b, []byte("[")); n > maxMessages {
		return fmt.Errorf("%w: more than %d objects and arrays", errTooLarge, maxMessages)
	}
	return otlpjson.Unmarshal(b, msg)
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
