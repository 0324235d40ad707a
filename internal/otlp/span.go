package otlp

import (
	"encoding/binary"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of opentelemetry.proto.trace.v1.
const (
	spanTraceID           protowire.Number = 1
	spanID                protowire.Number = 2
	spanTraceState        protowire.Number = 3
	spanParentID          protowire.Number = 4
	spanName              protowire.Number = 5
	spanKind              protowire.Number = 6
	spanStart             protowire.Number = 7
	spanEnd               protowire.Number = 8
	spanAttributes        protowire.Number = 9
	spanDroppedAttributes protowire.Number = 10
	spanEvents            protowire.Number = 11
	spanDroppedEvents     protowire.Number = 12
	spanLinks             protowire.Number = 13
	spanDroppedLinks      protowire.Number = 14
	spanStatus            protowire.Number = 15
	spanFlags             protowire.Number = 16

	eventTime              protowire.Number = 1
	eventName              protowire.Number = 2
	eventAttributes        protowire.Number = 3
	eventDroppedAttributes protowire.Number = 4

	linkTraceID           protowire.Number = 1
	linkSpanID            protowire.Number = 2
	linkTraceState        protowire.Number = 3
	linkAttributes        protowire.Number = 4
	linkDroppedAttributes protowire.Number = 5
	linkFlags             protowire.Number = 6

	statusMessage protowire.Number = 2
	statusCode    protowire.Number = 3
)

// The bits of SpanFlags above those of the W3C trace flags.
const (
	flagHasIsRemote = 0x100
	flagIsRemote    = 0x200
)

// AppendSpan appends the Span message of s, without tag and length.
//
// The message is at most bound bytes long, for which less than 256 count as 256; zero means no bound.
// A message that would be longer is marked by the attribute clew.truncated = true. Its strings are
// cut at the end of a character, the longest first, until it fits. If that would leave less than
// a few words of each, then events, links and attributes are left out from the end, in
// this order, and counted as dropped.
func AppendSpan(b []byte, s sdktrace.ReadOnlySpan, bound int) []byte {
	start := len(b)
	b = appendSpan(b, s)
	if bound > 0 && len(b)-start > bound {
		b = b[:start+len(cutMessage(b[start:], &spanLayout, bound))]
	}
	return b
}

// appendSpan writes what may be left out last, which is the order that cutMessage relies on.
func appendSpan(b []byte, s sdktrace.ReadOnlySpan) []byte {
	sc, parent := s.SpanContext(), s.Parent()
	b = appendIDs(b, sc)
	if id := parent.SpanID(); id.IsValid() {
		b = append(b, byte(spanParentID)<<3|byte(protowire.BytesType), byte(len(id)))
		b = append(b, id[:]...)
	}
	b = appendString(b, spanName, s.Name())
	if kind := s.SpanKind(); kind >= trace.SpanKindInternal && kind <= trace.SpanKindConsumer {
		b = append(b, byte(spanKind)<<3, byte(kind)) // OTLP has the same numbers
	}
	b = appendTime(b, spanStart, s.StartTime())
	b = appendTime(b, spanEnd, s.EndTime())
	b = appendStatus(b, s.Status())
	b = protowire.AppendTag(b, spanFlags, protowire.Fixed32Type)
	b = binary.LittleEndian.AppendUint32(b, flagsOf(sc, parent))
	b = appendString(b, spanTraceState, sc.TraceState().String())

	b = appendKeyValues(b, spanAttributes, s.Attributes())
	links := s.Links()
	for i := range links {
		b = appendLink(b, &links[i])
	}
	events := s.Events()
	for i := range events {
		b = appendEvent(b, &events[i])
	}
	b = appendCount(b, spanDroppedAttributes, s.DroppedAttributes())
	b = appendCount(b, spanDroppedEvents, s.DroppedEvents())
	return appendCount(b, spanDroppedLinks, s.DroppedLinks())
}

// appendIDs appends the trace id and the span id, whose fields have the same numbers in Span and in
// Link. Both are present even if they are zero.
func appendIDs(b []byte, sc trace.SpanContext) []byte {
	traceID, id := sc.TraceID(), sc.SpanID()
	b = append(b, byte(spanTraceID)<<3|byte(protowire.BytesType), byte(len(traceID)))
	b = append(b, traceID[:]...)
	b = append(b, byte(spanID)<<3|byte(protowire.BytesType), byte(len(id)))
	return append(b, id[:]...)
}

// flagsOf returns the trace flags of sc, and whether other, the parent of a span or what a link
// points to, came from another process.
func flagsOf(sc, other trace.SpanContext) uint32 {
	flags := uint32(sc.TraceFlags()) | flagHasIsRemote
	if other.IsRemote() {
		flags |= flagIsRemote
	}
	return flags
}

// appendStatus appends the status, which is present even if it is empty.
func appendStatus(b []byte, status sdktrace.Status) []byte {
	b, at := openMessage(b, spanStatus)
	b = appendString(b, statusMessage, status.Description)
	switch status.Code {
	case codes.Ok:
		b = append(b, byte(statusCode)<<3, 1)
	case codes.Error:
		b = append(b, byte(statusCode)<<3, 2)
	}
	return closeMessage(b, at)
}

func appendEvent(b []byte, e *sdktrace.Event) []byte {
	b, at := openMessage(b, spanEvents)
	b = appendTime(b, eventTime, e.Time)
	b = appendString(b, eventName, e.Name)
	b = appendKeyValues(b, eventAttributes, e.Attributes)
	b = appendCount(b, eventDroppedAttributes, e.DroppedAttributeCount)
	return closeMessage(b, at)
}

func appendLink(b []byte, l *sdktrace.Link) []byte {
	b, at := openMessage(b, spanLinks)
	b = appendIDs(b, l.SpanContext)
	b = appendString(b, linkTraceState, l.SpanContext.TraceState().String())
	b = appendKeyValues(b, linkAttributes, l.Attributes)
	b = appendCount(b, linkDroppedAttributes, l.DroppedAttributeCount)
	b = appendFixed32(b, linkFlags, flagsOf(l.SpanContext, l.SpanContext))
	return closeMessage(b, at)
}
