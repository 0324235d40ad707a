package otlp

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of opentelemetry.proto.logs.v1.
const (
	logTime              protowire.Number = 1
	logSeverity          protowire.Number = 2
	logSeverityText      protowire.Number = 3
	logBody              protowire.Number = 5
	logAttributes        protowire.Number = 6
	logDroppedAttributes protowire.Number = 7
	logFlags             protowire.Number = 8
	logTraceID           protowire.Number = 9
	logSpanID            protowire.Number = 10
	logObservedTime      protowire.Number = 11
	logEventName         protowire.Number = 12
)

// AppendLogRecord appends the LogRecord message of r, without tag and length. The message is bounded
// as that of [AppendSpan]. If its strings cannot be cut enough, then attributes are left out, and of
// a body that is a list or a map the last entries.
func AppendLogRecord(b []byte, r *sdklog.Record, bound int) []byte {
	start := len(b)
	b = appendLogRecord(b, r)
	if bound > 0 && len(b)-start > bound {
		b = b[:start+len(cutMessage(b[start:], &logLayout, bound))]
	}
	return b
}

// appendLogRecord writes what may be left out last, which is the order that cutMessage relies on.
func appendLogRecord(b []byte, r *sdklog.Record) []byte {
	b = appendTime(b, logTime, r.Timestamp())
	b = appendTime(b, logObservedTime, r.ObservedTimestamp())
	if severity := r.Severity(); severity >= log.SeverityTrace1 && severity <= log.SeverityFatal4 {
		b = append(b, byte(logSeverity)<<3, byte(severity)) // OTLP has the same numbers
	}
	b = appendString(b, logSeverityText, r.SeverityText())
	b = appendString(b, logEventName, r.EventName())
	if id := r.TraceID(); id.IsValid() {
		b = append(b, byte(logTraceID)<<3|byte(protowire.BytesType), byte(len(id)))
		b = append(b, id[:]...)
	}
	if id := r.SpanID(); id.IsValid() {
		b = append(b, byte(logSpanID)<<3|byte(protowire.BytesType), byte(len(id)))
		b = append(b, id[:]...)
	}
	b = appendFixed32(b, logFlags, uint32(r.TraceFlags()))

	b = appendAnyValue(b, logBody, r.Body(), 0)
	b = appendLogAttributes(b, r)
	return appendCount(b, logDroppedAttributes, r.DroppedAttributes())
}

// appendLogAttributes writes each key once, because the provider may have left that to the
// exporter (sdklog.WithAllowKeyDuplication).
func appendLogAttributes(b []byte, r *sdklog.Record) []byte {
	if logRepeats(r) {
		list := make([]attribute.KeyValue, 0, r.AttributesLen())
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			list = append(list, kv)
			return true
		})
		return appendKeyValues(b, logAttributes, unique(list))
	}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		b = appendKeyValue(b, logAttributes, kv)
		return true
	})
	return b
}

// logRepeats is repeats for the attributes of a record.
func logRepeats(r *sdklog.Record) bool {
	if r.AttributesLen() > maxCompared {
		return true
	}
	var keys [maxCompared]attribute.Key
	n, found := 0, false
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		for _, key := range keys[:n] {
			found = found || key == kv.Key
		}
		keys[n] = kv.Key
		n++
		return !found
	})
	return found
}
