package otlp_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/otlp"
)

// twelve are the attributes of an ordinary HTTP server span.
func twelve() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("http.request.method", "GET"),
		attribute.String("url.path", "/orders/7d1c1b1e-8f5f-4f3c-9d55-1f6b7e6f3b11"),
		attribute.String("url.scheme", "https"),
		attribute.String("url.query", "page=3&sort=price"),
		attribute.String("http.route", "/orders/{id}"),
		attribute.String("server.address", "shop.example.com"),
		attribute.Int("server.port", 8443),
		attribute.Int("http.response.status_code", 200),
		attribute.String("network.protocol.version", "1.1"),
		attribute.String("client.address", "203.0.113.77"),
		attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
		attribute.Float64("shop.discount", 0.15),
	}
}

func ordinarySpan() sdktrace.ReadOnlySpan {
	begin := time.Unix(1_700_000_000, 12345)
	return tracetest.SpanStub{
		Name:        "GET /orders/{id}",
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{3}, TraceFlags: 3}),
		Parent:      trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1, 2}, SpanID: trace.SpanID{4}, Remote: true}),
		SpanKind:    trace.SpanKindServer,
		StartTime:   begin,
		EndTime:     begin.Add(time.Millisecond),
		Attributes:  twelve(),
		Status:      sdktrace.Status{Code: codes.Error, Description: "no such order"},
		Events: []sdktrace.Event{{Name: "exception", Time: begin, Attributes: []attribute.KeyValue{
			attribute.String("exception.type", "*errors.errorString"),
			attribute.String("exception.message", "no such order"),
		}}},
		Links: []sdktrace.Link{{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{9}, SpanID: trace.SpanID{9}})}},
	}.Snapshot()
}

func ordinaryRecord() *sdklog.Record {
	r := emit(attribute.StringValue("the order was rejected"), twelve()...)
	r.SetTimestamp(time.Unix(1_700_000_000, 1))
	r.SetSeverity(log.SeverityWarn)
	r.SetSeverityText("WARN")
	r.SetEventName("order.rejected")
	r.SetTraceID(trace.TraceID{1})
	r.SetSpanID(trace.SpanID{2})
	r.SetTraceFlags(1)
	return r
}

// emit returns what the SDK makes of a body and attributes, without limits.
func emit(body attribute.Value, attrs ...attribute.KeyValue) *sdklog.Record {
	var emitted recorder
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(&emitted), sdklog.WithAttributeCountLimit(-1))
	var r log.Record
	r.SetBody(body)
	provider.Logger("test").Emit(context.Background(), r)
	emitted[0].SetAttributes(attrs...)
	return &emitted[0]
}

func TestEncodingAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 4096)
	span, record := ordinarySpan(), ordinaryRecord()
	for name, encode := range map[string]func(){
		"AppendSpan":      func() { otlp.AppendSpan(buf, span, 1<<20) },
		"AppendLogRecord": func() { otlp.AppendLogRecord(buf, record, 1<<20) },
	} {
		if n := testing.AllocsPerRun(100, encode); n != 0 {
			t.Errorf("%s allocates %v times, want none", name, n)
		}
	}
}

// TestEncodingAllocatesWhatAccessorsDo counts what it costs to read a span, and that to encode it.
func TestEncodingAllocatesWhatAccessorsDo(t *testing.T) {
	state, err := trace.ParseTraceState("ot=th:8,vendor=value")
	if err != nil {
		t.Fatal(err)
	}
	var ended tracetest.SpanRecorder
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&ended)).Tracer("test")
	_, s := tracer.Start(trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: 1, TraceState: state,
	})), "span", trace.WithAttributes(twelve()...))
	s.SetAttributes(
		attribute.StringSlice("strings", []string{"a", "b", "c", "d", "e"}),
		attribute.IntSlice("ints", []int{1, 2, 3, 4, 5}),
		attribute.KeyValue{Key: "map", Value: attribute.MapValue(attribute.Bool("k", true))},
		attribute.KeyValue{Key: "bytes", Value: attribute.ByteSliceValue(make([]byte, 100))},
	)
	s.End()
	span := ended.Ended()[0]

	buf := make([]byte, 0, 4096)
	got := testing.AllocsPerRun(100, func() { buf = otlp.AppendSpan(buf[:0], span, 1<<20) })
	want := testing.AllocsPerRun(100, func() {
		sink = span.SpanContext().TraceState().String()
		attrs := span.Attributes()
		attrs = attrs[len(attrs)-4:]
		stringsSink, intsSink = attrs[0].Value.AsStringSlice(), attrs[1].Value.AsInt64Slice()
		mapSink, bytesSink = attrs[2].Value.AsMap(), attrs[3].Value.AsByteSlice()
	})
	if got > want {
		t.Errorf("encoding allocates %v times, want at most the %v of reading", got, want)
	}
}

var (
	sink        string
	stringsSink []string
	intsSink    []int64
	mapSink     []attribute.KeyValue
	bytesSink   []byte
)
