package otlpreceiver

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// maxDepth bounds the nesting of messages. An attribute value on a span is
	// the sixth level.
	maxDepth = 64
	// maxMessages bounds the messages in a request. A request of 20 MiB with
	// ordinary spans holds a third of this number.
	maxMessages = 1_000_000
)

// Allocated is at least what n bytes take on the heap: allocations are rounded
// up to a size class, the next of which is at most an eighth away.
func Allocated(n int) int64 { return int64(n+n/8+15) &^ 7 }

const (
	// element is what one more element adds to a slice while it is decoded: the
	// slice may just have doubled, and the one before is not yet collected.
	element = 3 * 8
	// wrapper is what a value takes that is one of several a field can have, or
	// the header of one in a list of strings.
	wrapper = 3 * 24
	// number is what a number in a list takes, which may be one byte on the wire.
	number = 3 * 8
	// object is more than any message of OTLP takes. The objects of JSON do not
	// tell which they are.
	object = 400
)

// layout is what a kind of message takes when it is decoded.
type layout struct {
	size   int64
	fields map[protowire.Number]field
}

type field struct {
	message *layout // nil if it is none
	each    int64   // bytes for each time it occurs
	packed  bool    // its bytes may be numbers
}

// layouts has those of the three requests and of everything in them.
var layouts = sync.OnceValue(func() map[protoreflect.FullName]*layout {
	all := map[protoreflect.FullName]*layout{}
	for _, msg := range []proto.Message{
		(*coltrace.ExportTraceServiceRequest)(nil), (*collogs.ExportLogsServiceRequest)(nil), (*colmetrics.ExportMetricsServiceRequest)(nil),
	} {
		addLayout(all, msg.ProtoReflect().Descriptor())
	}
	return all
})

func addLayout(all map[protoreflect.FullName]*layout, md protoreflect.MessageDescriptor) *layout {
	if l := all[md.FullName()]; l != nil {
		return l
	}
	l := &layout{size: object, fields: map[protowire.Number]field{}}
	if t, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName()); err == nil {
		l.size = Allocated(int(reflect.TypeOf(t.Zero().Interface()).Elem().Size()))
	}
	all[md.FullName()] = l
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f := field{packed: fd.IsPacked()}
		switch {
		case fd.Message() != nil:
			f.message = addLayout(all, fd.Message())
			if fd.IsList() {
				f.each = element
			}
		case fd.IsList() && f.packed:
			f.each = number
		case fd.IsList():
			f.each = wrapper
		}
		if fd.ContainingOneof() != nil {
			f.each += wrapper
		}
		l.fields[fd.Number()] = f
	}
	return l
}

// costOfBinary is at least the memory that b takes when it is decoded into msg.
// It allocates nothing.
func costOfBinary(b []byte, msg proto.Message) (int64, error) {
	c := counter{left: maxMessages}
	err := c.walk(layouts()[msg.ProtoReflect().Descriptor().FullName()], b, maxDepth)
	return c.bytes, err
}

type counter struct {
	left  int // messages
	bytes int64
}

func (c *counter) walk(l *layout, b []byte, depth int) error {
	if depth == 0 {
		return errTooDeep
	}
	if c.left--; c.left < 0 {
		return fmt.Errorf("%w: more than %d messages", errTooLarge, maxMessages)
	}
	c.bytes += l.size
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
		f, known := l.fields[num]
		if !known {
			continue
		}
		c.bytes += f.each
		if typ != protowire.BytesType {
			continue
		}
		inner, _ := protowire.ConsumeBytes(value)
		switch {
		case f.message != nil:
			if err := c.walk(f.message, inner, depth-1); err != nil {
				return err
			}
		case f.packed:
			c.bytes += number * int64(len(inner))
		default:
			c.bytes += Allocated(len(inner))
		}
	}
	return nil
}

// costOfJSON is at least the memory that b takes when it is decoded. An error
// of the decoder quotes the text, more than once.
func costOfJSON(b []byte, _ proto.Message) (int64, error) {
	objects, lists := bytes.Count(b, []byte("{")), bytes.Count(b, []byte("["))
	if objects+lists > maxMessages {
		return 0, fmt.Errorf("%w: more than %d objects and arrays", errTooLarge, maxMessages)
	}
	return int64(objects)*object + int64(lists+bytes.Count(b, []byte(",")))*wrapper + 4*int64(len(b)), nil
}
