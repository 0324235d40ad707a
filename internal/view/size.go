package view

import (
	"reflect"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Sizes are estimates of heap memory: the structs themselves, and what their
// strings, slices and pointers lead to.
var (
	structSpan     = size[tracepb.Span]() + size[otlpreceiver.Span]() + size[tracepb.Status]()
	structEvent    = size[tracepb.Span_Event]() + pointer
	structLink     = size[tracepb.Span_Link]() + pointer
	structLog      = size[logspb.LogRecord]() + size[otlpreceiver.Log]()
	structKeyValue = size[commonpb.KeyValue]() + pointer
	structValue    = size[commonpb.AnyValue]() + size[commonpb.AnyValue_StringValue]()
	structResource = size[resourcepb.Resource]() + size[commonpb.InstrumentationScope]()
	structList     = size[commonpb.ArrayValue]()
)

const (
	pointer     = 8
	mapEntry    = 32      // of an id in a map, with its spare room
	sizeOfTrace = 640     // the struct, its maps, its place in the ring
	ids         = 16 + 16 // a trace id and two span ids, each an allocation
)

func size[T any]() int64 { return int64(reflect.TypeFor[T]().Size()) }

func sizeOfSpan(s otlpreceiver.Span) int64 {
	n := structSpan + mapEntry + ids + text(s.GetName()) + text(s.GetTraceState()) + text(s.GetStatus().GetMessage()) + sizeOfAttributes(s.GetAttributes())
	for _, e := range s.GetEvents() {
		n += structEvent + text(e.GetName()) + sizeOfAttributes(e.GetAttributes())
	}
	for _, l := range s.GetLinks() {
		n += structLink + ids + text(l.GetTraceState()) + sizeOfAttributes(l.GetAttributes())
	}
	return n
}

func sizeOfLog(l otlpreceiver.Log) int64 {
	return structLog + ids + text(l.GetSeverityText()) + text(l.GetEventName()) + sizeOfValue(l.GetBody()) + sizeOfAttributes(l.GetAttributes())
}

// sizeOfResource counts a resource in full for every trace with spans of it,
// though a batch shares one: the last of them keeps it alive.
func sizeOfResource(o otlpreceiver.Origin) int64 {
	return structResource + mapEntry + text(o.Scope.GetName()) + text(o.Scope.GetVersion()) +
		sizeOfAttributes(o.Scope.GetAttributes()) + sizeOfAttributes(o.Resource.GetAttributes())
}

func sizeOfAttributes(attrs []*commonpb.KeyValue) int64 {
	var n int64
	for _, a := range attrs {
		n += structKeyValue + text(a.GetKey()) + sizeOfValue(a.GetValue())
	}
	return n
}

// sizeOfValue can follow the nesting: the receiver bounds its depth.
func sizeOfValue(v *commonpb.AnyValue) int64 {
	n := structValue
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		n += text(v.StringValue)
	case *commonpb.AnyValue_BytesValue:
		n += int64(len(v.BytesValue))
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

// text is what a string's bytes take: allocations are rounded up.
func text(s string) int64 { return int64(len(s)+7) &^ 7 }
