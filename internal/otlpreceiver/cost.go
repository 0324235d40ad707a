package otlpreceiver

import (
	"bytes"
	"fmt"
	"reflect"
	"sync"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

const (
	// maxDepth bounds the nesting of messages. An attribute value of a span is at the
	// sixth level.
	maxDepth = 64
	// maxMessages bounds the messages in a request. A request of 20 MiB with
	// ordinary spans holds a third of this number.
	maxMessages = 1_000_000
)

// Allocated returns at least the heap memory of n bytes. Allocations are rounded up to
// a size class, and the next one is at most an eighth larger.
func Allocated(n int) int64 { return int64(n+n/8+15) &^ 7 }

const (
	// element is the cost of one more element in a slice that is decoded. The slice may
	// just have doubled while its previous memory is not yet collected.
	element = 3 * 8
	// wrapper is the cost of the struct around a value of a oneof, or of the header of a
	// string in a list.
	wrapper = 3 * 24
	// number is the cost of a number in a list, which may be one byte on the wire.
	number = 3 * 8
	// object is more than the cost of any message of OTLP. It is used for JSON, in which
	// an object does not tell its type.
	object = 400
)

// layout is the cost of a type of message when it is decoded.
type layout struct {
	size   int64
	fields map[protowire.Number]field
}

type field struct {
	message *layout // nil if the field is not a message
	each    int64   // bytes for each occurrence
	packed  bool    // its bytes may be packed numbers
}

// layouts has the layouts of the three requests and of all messages in them.
var layouts = sync.OnceValue(func() map[protoreflect.FullName]*layout {
	all := map[protoreflect.FullName]*layout{}
	for _, msg := range []proto.Message{
		(*tracepb.TracesData)(nil), (*logspb.LogsData)(nil), (*metricspb.MetricsData)(nil),
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

// costOfBinary returns at least the memory that b takes when it is decoded into msg. It
// allocates nothing.
func costOfBinary(b []byte, msg proto.Message) (int64, error) {
	c := counter{left: maxMessages}
	err := c.walk(layouts()[msg.ProtoReflect().Descriptor().FullName()], b, maxDepth)
	return c.bytes, err
}

type counter struct {
	left  int // messages that are still allowed
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

// costOfJSON returns at least the memory that b takes when it is decoded. That includes
// an error of the decoder, which quotes the text more than once.
func costOfJSON(b []byte, _ proto.Message) (int64, error) {
	objects, lists := bytes.Count(b, []byte("{")), bytes.Count(b, []byte("["))
	if objects+lists > maxMessages {
		return 0, fmt.Errorf("%w: more than %d objects and arrays", errTooLarge, maxMessages)
	}
	return int64(objects)*object + int64(lists+bytes.Count(b, []byte(",")))*wrapper + 4*int64(len(b)), nil
}
