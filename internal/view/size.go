package view

import (
	"reflect"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Sizes are heap memory: the structs themselves, and everything that their strings,
// slices and pointers keep alive. A sender could fill a field that is left out here
// without a bound, so a test goes through all fields.
var (
	structSpan     = size[tracepb.Span]() + size[otlpreceiver.Span]() + size[tracepb.Status]()
	structEvent    = size[tracepb.Span_Event]() + pointer
	structLink     = size[tracepb.Span_Link]() + pointer
	structLog      = size[logspb.LogRecord]() + size[otlpreceiver.Log]()
	structKeyValue = size[commonpb.KeyValue]() + pointer
	structValue    = size[commonpb.AnyValue]() + size[commonpb.AnyValue_StringValue]()
	structResource = size[resourcepb.Resource]() + size[commonpb.InstrumentationScope]()
	structEntity   = size[commonpb.EntityRef]() + pointer
	structList     = size[commonpb.ArrayValue]()
)

const (
	pointer     = 8
	mapEntry    = 32  // of an id in a map, with its spare room
	sizeOfTrace = 640 // the struct, its maps, its place in the ring
	header      = 16  // of a string in a list
)

func size[T any]() int64 { return int64(reflect.TypeFor[T]().Size()) }

func sizeOfSpan(s otlpreceiver.Span) int64 {
	n := structSpan + mapEntry + id(s.GetTraceId()) + id(s.GetSpanId()) + id(s.GetParentSpanId()) +
		text(s.GetName()) + text(s.GetTraceState()) + text(s.GetStatus().GetMessage()) + sizeOfAttributes(s.GetAttributes())
	for _, e := range s.GetEvents() {
		n += structEvent + text(e.GetName()) + sizeOfAttributes(e.GetAttributes())
	}
	for _, l := range s.GetLinks() {
		n += structLink + id(l.GetTraceId()) + id(l.GetSpanId()) + text(l.GetTraceState()) + sizeOfAttributes(l.GetAttributes())
	}
	return n
}

func sizeOfLog(l otlpreceiver.Log) int64 {
	return structLog + id(l.GetTraceId()) + id(l.GetSpanId()) + text(l.GetSeverityText()) + text(l.GetEventName()) + sizeOfValue(l.GetBody()) + sizeOfAttributes(l.GetAttributes())
}

// sizeOfOrigin counts a resource and a scope in full for every trace that has spans of
// them, although a batch shares them: they stay in memory until the last of these
// traces is gone.
func sizeOfOrigin(o otlpreceiver.Origin) int64 {
	n := structResource + mapEntry + text(o.Scope.GetName()) + text(o.Scope.GetVersion()) +
		sizeOfAttributes(o.Scope.GetAttributes()) + sizeOfAttributes(o.Resource.GetAttributes())
	for _, e := range o.Resource.GetEntityRefs() {
		n += structEntity + text(e.GetSchemaUrl()) + text(e.GetType()) + texts(e.GetIdKeys()) + texts(e.GetDescriptionKeys())
	}
	return n
}

func sizeOfAttributes(attrs []*commonpb.KeyValue) int64 {
	var n int64
	for _, a := range attrs {
		n += structKeyValue + text(a.GetKey()) + sizeOfValue(a.GetValue())
	}
	return n
}

// sizeOfValue follows the nesting of a value, whose depth the receiver bounds.
func sizeOfValue(v *commonpb.AnyValue) int64 {
	n := structValue
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		n += text(v.StringValue)
	case *commonpb.AnyValue_BytesValue:
		n += otlpreceiver.Allocated(len(v.BytesValue))
	case *commonpb.AnyValue_ArrayValue:
		n += structList
		for _, e := range v.ArrayValue.GetValues() {
			n += pointer + sizeOfValue(e)
		}
	case *commonpb.AnyValue_KvlistValue:
		n += structList + sizeOfAttributes(v.KvlistValue.GetValues())
	}
	return n
}

func text(s string) int64 { return otlpreceiver.Allocated(len(s)) }

func id(b []byte) int64 { return otlpreceiver.Allocated(len(b)) }

func texts(list []string) (n int64) {
	for _, s := range list {
		n += header + text(s)
	}
	return n
}
