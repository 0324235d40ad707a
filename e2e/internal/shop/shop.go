// Package shop makes up the telemetry of a small shop: seven services, a
// database and a queue. The same seed makes the same traces.
package shop

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Trace is one trace being made.
type Trace struct {
	Traces coltrace.ExportTraceServiceRequest
	Logs   collogs.ExportLogsServiceRequest

	// TraceState is put on every span that is added.
	TraceState string

	rnd   *rand.Rand
	id    []byte
	start time.Time
}

// NewTrace begins an empty trace.
func NewTrace(seed uint64, start time.Time) *Trace {
	t := &Trace{rnd: rand.New(rand.NewPCG(seed, 1)), start: start} //nolint:gosec // made up
	t.id = t.bytes(16)
	return t
}

// ID returns the trace id.
func (t *Trace) ID() []byte { return t.id }

func (t *Trace) bytes(n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, t.rnd.Uint64()|1)
	}
	return b
}

// Jitter returns d, up to a fifth more or less.
func (t *Trace) Jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*t.rnd.Float64()))
}

// Kinds of spans, for short.
const (
	Internal = tracepb.Span_SPAN_KIND_INTERNAL
	Server   = tracepb.Span_SPAN_KIND_SERVER
	Client   = tracepb.Span_SPAN_KIND_CLIENT
	Producer = tracepb.Span_SPAN_KIND_PRODUCER
	Consumer = tracepb.Span_SPAN_KIND_CONSUMER
)

// Span adds a span that begins and lasts as told, counted from the trace's
// start. The attributes are keys and values in turn.
func (t *Trace) Span(parent *tracepb.Span, service, name string, kind tracepb.Span_SpanKind, from, lasts time.Duration, attrs ...any) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: t.id, SpanId: t.bytes(8), ParentSpanId: parent.GetSpanId(), Name: name, Kind: kind, TraceState: t.TraceState, Flags: 0x103,
		StartTimeUnixNano: t.at(from), EndTimeUnixNano: t.at(from + lasts), Attributes: Attributes(attrs...),
	}
	t.Traces.ResourceSpans = append(t.Traces.ResourceSpans, &tracepb.ResourceSpans{
		Resource:   resource(service),
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "shop/" + service, Version: "1.4.0"}, Spans: []*tracepb.Span{s}}},
	})
	return s
}

func (t *Trace) at(d time.Duration) uint64 { return uint64(t.start.Add(d).UnixNano()) } //nolint:gosec // after 1970

// Event adds an event.
func (t *Trace) Event(s *tracepb.Span, name string, from time.Duration, attrs ...any) {
	s.Events = append(s.Events, &tracepb.Span_Event{Name: name, TimeUnixNano: t.at(from), Attributes: Attributes(attrs...)})
}

// Fail sets the status of the spans, and the exception on the first.
func (t *Trace) Fail(from time.Duration, kind, message string, spans ...*tracepb.Span) {
	t.Event(spans[0], "exception", from, "exception.type", kind, "exception.message", message, "exception.stacktrace",
		"goroutine 41 [running]:\nshop/payment.(*Gateway).Charge(0xc0001a2000)\n\t/src/payment/gateway.go:88 +0x1c5\nshop/payment.(*Service).Pay(0xc0001a2000)\n\t/src/payment/service.go:31 +0x9a")
	for _, s := range spans {
		s.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: message}
	}
}

// Log adds a log line of a span.
func (t *Trace) Log(s *tracepb.Span, service string, severity logspb.SeverityNumber, from time.Duration, body string, attrs ...any) {
	text := map[logspb.SeverityNumber]string{9: "INFO", 13: "WARN", 17: "ERROR"}[severity]
	t.Logs.ResourceLogs = append(t.Logs.ResourceLogs, &logspb.ResourceLogs{
		Resource: resource(service),
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{
			TraceId: t.id, SpanId: s.GetSpanId(), TimeUnixNano: t.at(from), SeverityNumber: severity, SeverityText: text,
			Body: value(body), Attributes: Attributes(attrs...),
		}}}},
	})
}

func resource(service string) *resourcepb.Resource {
	return &resourcepb.Resource{Attributes: Attributes(
		"service.name", service, "service.version", "2026.11.3", "deployment.environment.name", "staging",
		"host.name", "node-"+service, "telemetry.sdk.language", "go", "telemetry.sdk.name", "opentelemetry",
	)}
}

// Attributes are keys and values in turn.
func Attributes(pairs ...any) []*commonpb.KeyValue {
	var attrs []*commonpb.KeyValue
	for i := 0; i+1 < len(pairs); i += 2 {
		attrs = append(attrs, &commonpb.KeyValue{Key: fmt.Sprint(pairs[i]), Value: value(pairs[i+1])})
	}
	return attrs
}

func value(v any) *commonpb.AnyValue {
	switch v := v.(type) {
	case int:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(v)}}
	case float64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}
	case bool:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v}}
	default:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: fmt.Sprint(v)}}
	}
}

// SpanNamed returns the last span with the name.
func (t *Trace) SpanNamed(name string) *tracepb.Span {
	var found *tracepb.Span
	for _, r := range t.Traces.ResourceSpans {
		for _, s := range r.ScopeSpans[0].Spans {
			if s.Name == name {
				found = s
			}
		}
	}
	return found
}

// Path is where clew view shows the span.
func (t *Trace) Path(s *tracepb.Span) string {
	return fmt.Sprintf("/trace/%x?span=%x", t.id, s.GetSpanId())
}
