package otlp_test

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// stock is the exporters of OpenTelemetry in front of a server that keeps the last request.
type stock struct {
	traces sdktrace.SpanExporter
	logs   sdklog.Exporter

	mu   sync.Mutex
	body []byte
}

func newStock(tb testing.TB) *stock {
	tb.Helper()
	s := new(stock)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.body = body
		s.mu.Unlock()
	}))
	tb.Cleanup(server.Close)
	traces, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(server.URL),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	if err != nil {
		tb.Fatal(err)
	}
	logs, err := otlploghttp.New(context.Background(), otlploghttp.WithEndpointURL(server.URL),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}))
	if err != nil {
		tb.Fatal(err)
	}
	s.traces, s.logs = traces, logs
	tb.Cleanup(func() {
		_ = traces.Shutdown(context.Background())
		_ = logs.Shutdown(context.Background())
	})
	return s
}

// request decodes what the server got while export ran.
func (s *stock) request(tb testing.TB, export func() error, into proto.Message) {
	tb.Helper()
	if err := export(); err != nil {
		tb.Fatalf("stock: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := proto.Unmarshal(s.body, into); err != nil {
		tb.Fatalf("stock: %v", err)
	}
}

// checkSpan compares our request for a span with that of otlptracehttp.
func (s *stock) checkSpan(tb testing.TB, span sdktrace.ReadOnlySpan) {
	tb.Helper()
	var want, got coltrace.ExportTraceServiceRequest
	s.request(tb, func() error {
		return s.traces.ExportSpans(context.Background(), []sdktrace.ReadOnlySpan{intendedSpan(span)})
	}, &want)
	// A link has its tracestate: without it, the sampling of the trace that it points to is lost.
	for i, link := range span.Links() {
		want.ResourceSpans[0].ScopeSpans[0].Spans[0].Links[i].TraceState = link.SpanContext.TraceState().String()
	}
	// An empty resource is no message, as in otlploghttp.
	if r := want.ResourceSpans[0]; len(r.Resource.GetAttributes()) == 0 {
		r.Resource = nil
	}
	decode(tb, request(span.Resource(), span.InstrumentationScope(), otlp.AppendSpan(nil, span, 0)), &got)
	for _, req := range []*coltrace.ExportTraceServiceRequest{&want, &got} {
		rs := req.ResourceSpans[0]
		sortKeys(rs.Resource.GetAttributes())
		sortKeys(rs.ScopeSpans[0].Scope.GetAttributes())
		p := rs.ScopeSpans[0].Spans[0]
		sortMaps(p.Attributes)
		for _, e := range p.Events {
			sortMaps(e.Attributes)
		}
		for _, l := range p.Links {
			sortMaps(l.Attributes)
		}
	}
	checkEqual(tb, &got, &want)
}

// checkRecord compares our request for a log record with that of otlploghttp.
func (s *stock) checkRecord(tb testing.TB, record *sdklog.Record) {
	tb.Helper()
	var want, got collogs.ExportLogsServiceRequest
	s.request(tb, func() error {
		return s.logs.Export(context.Background(), []sdklog.Record{intendedRecord(record)})
	}, &want)
	// Setting the attributes of a record forgets the number of those that it has dropped.
	want.ResourceLogs[0].ScopeLogs[0].LogRecords[0].DroppedAttributesCount = uint32(record.DroppedAttributes())
	decode(tb, request(record.Resource(), record.InstrumentationScope(), otlp.AppendLogRecord(nil, record, 0)), &got)
	for _, req := range []*collogs.ExportLogsServiceRequest{&want, &got} {
		rl := req.ResourceLogs[0]
		sortKeys(rl.Resource.GetAttributes())
		sortKeys(rl.ScopeLogs[0].Scope.GetAttributes())
		p := rl.ScopeLogs[0].LogRecords[0]
		sortMaps(p.Attributes)
		sortMaps([]*common.KeyValue{{Value: p.Body}})
	}
	checkEqual(tb, &got, &want)
}

// request assembles a request of one span or record. The field numbers are the same for both.
func request(r *resource.Resource, scope instrumentation.Scope, item []byte) []byte {
	scoped := otlp.AppendScope(nil, scope)
	scoped = protowire.AppendTag(scoped, 2, protowire.BytesType)
	scoped = protowire.AppendBytes(scoped, item)
	group := otlp.AppendResource(nil, r)
	group = protowire.AppendTag(group, 2, protowire.BytesType)
	group = protowire.AppendBytes(group, scoped)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), group)
}

func decode(tb testing.TB, message []byte, into proto.Message) {
	tb.Helper()
	if err := proto.Unmarshal(message, into); err != nil {
		tb.Fatalf("our message does not decode: %v\n%x", err, message)
	}
	if unknown := into.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		tb.Fatalf("our message has unknown fields: %x", unknown)
	}
}

func checkEqual(tb testing.TB, got, want proto.Message) {
	tb.Helper()
	if !proto.Equal(got, want) {
		tb.Fatalf("ours:\n%s\nstock:\n%s", protojson.Format(got), protojson.Format(want))
	}
}

// The stock exporters lose a request with a text that is not UTF-8, and write values that are nested
// deeper than most decoders go, and keys of a map twice. So they are given what this package makes of
// those.

func intendedText(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func intendedValue(v attribute.Value) attribute.Value { return nestedValue(v, 0) }

func nestedValue(v attribute.Value, depth int) attribute.Value {
	switch v.Type() {
	case attribute.STRING:
		return attribute.StringValue(intendedText(v.AsString()))
	case attribute.BOOLSLICE, attribute.INT64SLICE, attribute.FLOAT64SLICE, attribute.STRINGSLICE, attribute.SLICE, attribute.MAP:
		if depth == 16 {
			return attribute.StringValue(intendedText(v.String()))
		}
	}
	switch v.Type() {
	case attribute.STRINGSLICE:
		return attribute.StringSliceValue(each(v.AsStringSlice(), intendedText))
	case attribute.SLICE:
		return attribute.SliceValue(each(v.AsSlice(), func(v attribute.Value) attribute.Value { return nestedValue(v, depth+1) })...)
	case attribute.MAP:
		return attribute.MapValue(each(lastOfEach(v.AsMap()), func(kv attribute.KeyValue) attribute.KeyValue {
			return attribute.KeyValue{Key: attribute.Key(intendedText(string(kv.Key))), Value: nestedValue(kv.Value, depth+1)}
		})...)
	}
	return v
}

// lastOfEach returns each key once, with its last value.
func lastOfEach(kvs []attribute.KeyValue) (kept []attribute.KeyValue) {
	for i, kv := range kvs {
		if !slices.ContainsFunc(kvs[i+1:], func(later attribute.KeyValue) bool { return later.Key == kv.Key }) {
			kept = append(kept, kv)
		}
	}
	return kept
}

func intendedAttribute(kv attribute.KeyValue) attribute.KeyValue {
	return attribute.KeyValue{Key: attribute.Key(intendedText(string(kv.Key))), Value: intendedValue(kv.Value)}
}

func each[T any](list []T, f func(T) T) []T {
	list = slices.Clone(list)
	for i := range list {
		list[i] = f(list[i])
	}
	return list
}

func intendedResource(r *resource.Resource) *resource.Resource {
	if r == nil {
		return nil
	}
	return resource.NewWithAttributes(intendedText(r.SchemaURL()), each(r.Attributes(), intendedAttribute)...)
}

func intendedScope(s instrumentation.Scope) instrumentation.Scope {
	s.Name, s.Version, s.SchemaURL = intendedText(s.Name), intendedText(s.Version), intendedText(s.SchemaURL)
	if s.Attributes.Len() > 0 {
		s.Attributes = attribute.NewSet(each(s.Attributes.ToSlice(), intendedAttribute)...)
	}
	return s
}

func intendedSpan(span sdktrace.ReadOnlySpan) sdktrace.ReadOnlySpan {
	stub := tracetest.SpanStubFromReadOnlySpan(span)
	stub.Name, stub.Status.Description = intendedText(stub.Name), intendedText(stub.Status.Description)
	stub.Attributes = each(stub.Attributes, intendedAttribute)
	stub.Events = each(stub.Events, func(e sdktrace.Event) sdktrace.Event {
		e.Name, e.Attributes = intendedText(e.Name), each(e.Attributes, intendedAttribute)
		return e
	})
	stub.Links = each(stub.Links, func(l sdktrace.Link) sdktrace.Link {
		l.Attributes = each(l.Attributes, intendedAttribute)
		return l
	})
	stub.Resource, stub.InstrumentationScope = intendedResource(stub.Resource), intendedScope(stub.InstrumentationScope)
	return stub.Snapshot()
}

func intendedRecord(record *sdklog.Record) sdklog.Record {
	r := record.Clone()
	r.SetEventName(intendedText(r.EventName()))
	r.SetSeverityText(intendedText(r.SeverityText()))
	r.SetBody(intendedValue(r.Body()))
	var attrs []attribute.KeyValue
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		attrs = append(attrs, intendedAttribute(kv))
		return true
	})
	r.SetAttributes(attrs...)
	return r
}

// sortMaps sorts the entries of maps, which are in the order of their keys before a repair.
func sortMaps(list []*common.KeyValue) {
	for _, kv := range list {
		sortValue(kv.Value)
	}
}

func sortValue(v *common.AnyValue) {
	sortKeys(v.GetKvlistValue().GetValues())
	for _, element := range v.GetArrayValue().GetValues() {
		sortValue(element)
	}
}

func sortKeys(list []*common.KeyValue) {
	sortMaps(list)
	encoded := func(kv *common.KeyValue) []byte {
		b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(kv)
		return b
	}
	slices.SortFunc(list, func(a, b *common.KeyValue) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), bytes.Compare(encoded(a), encoded(b)))
	})
}

func TestSpanIsWhatStockSends(t *testing.T) {
	s := newStock(t)
	s.checkSpan(t, ordinarySpan())
	for seed := range uint64(250) {
		s.checkSpan(t, seeded(seed).anySpan())
		s.checkSpan(t, seeded(seed).sdkSpan())
	}
}

func FuzzSpan(f *testing.F) {
	s := newStock(f)
	f.Fuzz(func(t *testing.T, data []byte, ofSDK bool) {
		g := &generator{data}
		if ofSDK {
			s.checkSpan(t, g.sdkSpan())
		} else {
			s.checkSpan(t, g.anySpan())
		}
	})
}

func TestLogRecordIsWhatStockSends(t *testing.T) {
	s := newStock(t)
	s.checkRecord(t, ordinaryRecord())
	for seed := range uint64(250) {
		s.checkRecord(t, seeded(seed).record())
	}
}

func FuzzLogRecord(f *testing.F) {
	s := newStock(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s.checkRecord(t, (&generator{data}).record())
	})
}

// nested returns lists and maps in each other.
func nested(depth int) attribute.Value {
	v := attribute.StringValue("the innermost is not \xff UTF-8")
	for i := range depth {
		if i%2 == 0 {
			v = attribute.SliceValue(v, attribute.IntSliceValue([]int{i}))
		} else {
			v = attribute.MapValue(attribute.KeyValue{Key: "k", Value: v})
		}
	}
	return v
}

func TestDeepValueBecomesText(t *testing.T) {
	s := newStock(t)
	for _, depth := range []int{1, 15, 16, 17, 18, 40, 64, 500} {
		kv := attribute.KeyValue{Key: "deep", Value: nested(depth)}
		s.checkSpan(t, tracetest.SpanStub{Attributes: []attribute.KeyValue{kv}, Events: []sdktrace.Event{{Attributes: []attribute.KeyValue{kv}}}}.Snapshot())
		record := emit(kv.Value)
		s.checkRecord(t, record)
		body := request(record.Resource(), record.InstrumentationScope(), otlp.AppendLogRecord(nil, record, 0))
		if err := (proto.UnmarshalOptions{RecursionLimit: 64}).Unmarshal(body, new(collogs.ExportLogsServiceRequest)); err != nil {
			t.Errorf("a body with a depth of %d: %v", depth, err)
		}
	}
}

func TestTextThatIsNotUTF8IsRepaired(t *testing.T) {
	s := newStock(t)
	bad := "/%\xff\xfe/\xe2\x82"
	attrs := []attribute.KeyValue{
		attribute.String(bad, bad),
		attribute.StringSlice("list", []string{"good", bad}),
		{Key: "values", Value: attribute.SliceValue(attribute.StringValue(bad))},
		{Key: "map", Value: attribute.MapValue(attribute.String(bad, bad))},
		{Key: "bytes stay", Value: attribute.ByteSliceValue([]byte(bad))},
	}
	s.checkSpan(t, tracetest.SpanStub{
		Name: bad, Attributes: attrs, Status: sdktrace.Status{Description: bad},
		Events:               []sdktrace.Event{{Name: bad, Attributes: attrs}},
		Links:                []sdktrace.Link{{Attributes: attrs}},
		Resource:             resource.NewWithAttributes(bad, attrs...),
		InstrumentationScope: instrumentation.Scope{Name: bad, Version: bad, SchemaURL: bad, Attributes: attribute.NewSet(attrs...)},
	}.Snapshot())
	record := emit(attribute.StringValue(bad), attrs...)
	record.SetEventName(bad)
	record.SetSeverityText(bad)
	s.checkRecord(t, record)
	var span traces.Span
	decode(t, otlp.AppendSpan(nil, tracetest.SpanStub{Name: bad}.Snapshot(), 0), &span)
	if span.Name != "/%\uFFFD/\uFFFD" {
		t.Errorf("the name is %q", span.Name)
	}
}
