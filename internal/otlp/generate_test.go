package otlp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// generator makes spans and log records of the bytes of a fuzz input. It makes zeros and empty
// texts when none are left.
type generator struct{ data []byte }

// seeded returns a generator of random bytes, the same for the same seed.
func seeded(seed uint64) *generator {
	r := rand.New(rand.NewPCG(seed, 16))
	data := make([]byte, 64+r.IntN(2048))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return &generator{data}
}

func (g *generator) byte() byte {
	if len(g.data) == 0 {
		return 0
	}
	b := g.data[0]
	g.data = g.data[1:]
	return b
}

func (g *generator) intn(n int) int { return int(g.byte()) % n }
func (g *generator) bool() bool     { return g.byte()&1 != 0 }

func (g *generator) uint64() uint64 {
	var b [8]byte
	g.data = g.data[copy(b[:], g.data):]
	return binary.LittleEndian.Uint64(b[:])
}

func (g *generator) int64() int64 {
	return [...]int64{0, 1, -1, math.MaxInt64, math.MinInt64, int64(g.byte()), int64(g.uint64())}[g.intn(7)]
}

func (g *generator) float64() float64 {
	f := math.Float64frombits(g.uint64())
	return [...]float64{0, math.Copysign(0, -1), 0.1, math.Inf(1), math.Inf(-1), f, f}[g.intn(7)]
}

// text returns all kinds, also such that are not UTF-8.
func (g *generator) text() string {
	switch g.intn(8) {
	case 0:
		return ""
	case 1:
		return "GET"
	case 2:
		return "größer 🧵 als €1"
	case 3:
		return "/%ff\xff\xfe/\xc3"
	case 4:
		return strings.Repeat("é", g.intn(256))
	case 5:
		return strings.Repeat("long ", 40*g.intn(16))
	}
	n := g.intn(40)
	n = min(n, len(g.data))
	s := string(g.data[:n])
	g.data = g.data[n:]
	return s
}

// attributes may repeat a key, but no two keys become equal when they are repaired.
func (g *generator) attributes(most, depth int) []attribute.KeyValue {
	var attrs []attribute.KeyValue
	for i := range g.intn(most + 1) {
		key := [...]string{"a.key", "another.key", "bad\xffkey", "", fmt.Sprintf("%s#%d#%d", g.text(), depth, i)}[g.intn(5)]
		attrs = append(attrs, attribute.KeyValue{Key: attribute.Key(key), Value: g.value(depth)})
	}
	return attrs
}

func list[T any](g *generator, element func() T) []T {
	var values []T
	for range g.intn(8) {
		values = append(values, element())
	}
	return values
}

func (g *generator) value(depth int) attribute.Value {
	kinds := 12
	if depth == 0 {
		kinds = 10
	}
	switch g.intn(kinds) {
	case 1:
		return attribute.BoolValue(g.bool())
	case 2:
		return attribute.Int64Value(g.int64())
	case 3:
		return attribute.Float64Value(g.float64())
	case 4:
		return attribute.BoolSliceValue(list(g, g.bool))
	case 5:
		return attribute.Int64SliceValue(list(g, g.int64))
	case 6:
		return attribute.Float64SliceValue(list(g, g.float64))
	case 7:
		return attribute.StringSliceValue(list(g, g.text))
	case 8:
		return attribute.ByteSliceValue([]byte(g.text()))
	case 9:
		return attribute.Value{} // empty
	case 10:
		return attribute.SliceValue(list(g, func() attribute.Value { return g.value(depth - 1) })...)
	case 11:
		return attribute.MapValue(g.attributes(8, depth-1)...)
	}
	return attribute.StringValue(g.text())
}

func (g *generator) time() time.Time {
	return [...]time.Time{
		{}, time.Unix(0, 0), time.Unix(-5, 0), time.Unix(1_700_000_000, g.int64()), time.Unix(0, math.MaxInt64),
	}[g.intn(5)]
}

func (g *generator) count() int {
	return [...]int{0, 1, -1, 200, math.MaxUint32, math.MaxUint32 + 1}[g.intn(6)]
}

func (g *generator) spanContext() trace.SpanContext {
	var cfg trace.SpanContextConfig
	if g.bool() {
		g.data = g.data[copy(cfg.TraceID[:], g.data):]
		g.data = g.data[copy(cfg.SpanID[:], g.data):]
	}
	cfg.TraceFlags, cfg.Remote = trace.TraceFlags(g.byte()), g.bool()
	cfg.TraceState, _ = trace.ParseTraceState([...]string{"", "ot=th:8", "ot=rv:0123456789abcd,vendor=" + strings.Repeat("x", 200)}[g.intn(3)])
	return trace.NewSpanContext(cfg)
}

func (g *generator) events() []sdktrace.Event {
	return list(g, func() sdktrace.Event {
		return sdktrace.Event{Name: g.text(), Time: g.time(), Attributes: g.attributes(4, 2), DroppedAttributeCount: g.count()}
	})
}

func (g *generator) links() []sdktrace.Link {
	return list(g, func() sdktrace.Link {
		return sdktrace.Link{SpanContext: g.spanContext(), Attributes: g.attributes(4, 2), DroppedAttributeCount: g.count()}
	})
}

func (g *generator) resource() *resource.Resource {
	if g.bool() {
		return nil
	}
	return resource.NewWithAttributes(g.text(), g.attributes(6, 2)...)
}

func (g *generator) scope() instrumentation.Scope {
	if g.bool() {
		return instrumentation.Scope{}
	}
	return instrumentation.Scope{Name: g.text(), Version: g.text(), SchemaURL: g.text(), Attributes: attribute.NewSet(g.attributes(4, 2)...)}
}

// anySpan returns a span with fields that the SDK may never give it.
func (g *generator) anySpan() sdktrace.ReadOnlySpan {
	return tracetest.SpanStub{
		Name: g.text(), SpanContext: g.spanContext(), Parent: g.spanContext(), SpanKind: trace.SpanKind(g.intn(8)),
		StartTime: g.time(), EndTime: g.time(), Attributes: g.attributes(20, 3), Events: g.events(), Links: g.links(),
		Status:            sdktrace.Status{Code: codes.Code(g.intn(4)), Description: g.text()},
		DroppedAttributes: g.count(), DroppedEvents: g.count(), DroppedLinks: g.count(),
		Resource: g.resource(), InstrumentationScope: g.scope(),
	}.Snapshot()
}

// limit returns a limit of the SDK: none, tight, or the default.
func (g *generator) limit() int { return [...]int{-1, 1, 3, 17, 128}[g.intn(5)] }

// sdkSpan returns what the SDK hands to a processor at the end of a span.
func (g *generator) sdkSpan() sdktrace.ReadOnlySpan {
	var ended tracetest.SpanRecorder
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithSpanProcessor(&ended),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: g.limit(), AttributeValueDepthLimit: 4, AttributeCountLimit: g.limit(), EventCountLimit: g.limit(),
			LinkCountLimit: g.limit(), AttributePerEventCountLimit: g.limit(), AttributePerLinkCountLimit: g.limit(),
		}),
	}
	if r := g.resource(); r != nil {
		options = append(options, sdktrace.WithResource(r))
	}
	scope := g.scope()
	tracer := sdktrace.NewTracerProvider(options...).Tracer(scope.Name, trace.WithInstrumentationVersion(scope.Version),
		trace.WithSchemaURL(scope.SchemaURL), trace.WithInstrumentationAttributes(scope.Attributes.ToSlice()...))
	var links []trace.Link
	for _, l := range g.links() {
		links = append(links, trace.Link{SpanContext: l.SpanContext, Attributes: l.Attributes})
	}
	_, span := tracer.Start(trace.ContextWithSpanContext(context.Background(), g.spanContext().WithTraceFlags(1)), g.text(),
		trace.WithSpanKind(trace.SpanKind(g.intn(8))), trace.WithLinks(links...), trace.WithAttributes(g.attributes(10, 3)...))
	for _, e := range g.events() {
		span.AddEvent(e.Name, trace.WithAttributes(e.Attributes...))
	}
	span.SetAttributes(g.attributes(20, 3)...)
	span.RecordError(fmt.Errorf("it failed: %s", g.text()))
	span.SetStatus(codes.Code(g.intn(3)), g.text())
	span.End()
	return ended.Ended()[0]
}

// record returns what the SDK hands to a processor, with fields that the processor before has set.
func (g *generator) record() *sdklog.Record {
	var emitted recorder
	options := []sdklog.LoggerProviderOption{
		sdklog.WithProcessor(&emitted), sdklog.WithAttributeCountLimit(g.limit()), sdklog.WithAttributeValueLengthLimit(g.limit()),
	}
	if r := g.resource(); r != nil {
		options = append(options, sdklog.WithResource(intendedResource(r))) // those of a record cannot be replaced
	}
	scope := intendedScope(g.scope())
	logger := sdklog.NewLoggerProvider(options...).Logger(scope.Name, log.WithInstrumentationVersion(scope.Version),
		log.WithSchemaURL(scope.SchemaURL), log.WithInstrumentationAttributes(scope.Attributes.ToSlice()...))
	var r log.Record
	r.SetTimestamp(g.time())
	r.SetObservedTimestamp(g.time())
	r.SetEventName(g.text())
	r.SetSeverity(log.Severity(g.intn(30) - 2))
	r.SetSeverityText(g.text())
	r.SetBody(g.value(3))
	r.AddAttributes(g.attributes(20, 3)...)
	sc := g.spanContext()
	logger.Emit(trace.ContextWithSpanContext(context.Background(), sc), r)
	record := emitted[0]
	if g.bool() {
		record.SetTraceID(trace.TraceID{}) // a span id alone
		record.SetSpanID(sc.SpanID())
	}
	return &record
}

type recorder []sdklog.Record

func (r *recorder) OnEmit(_ context.Context, record *sdklog.Record) error {
	*r = append(*r, record.Clone())
	return nil
}
func (*recorder) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*recorder) Shutdown(context.Context) error                         { return nil }
func (*recorder) ForceFlush(context.Context) error                       { return nil }
