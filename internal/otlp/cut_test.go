package otlp_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/otlp"
)

// cutSpan encodes a span with a bound and takes the mark away. It fails the test if the message is
// too long or has no mark.
func cutSpan(tb testing.TB, stub tracetest.SpanStub, bound int) *traces.Span {
	tb.Helper()
	encoded := otlp.AppendSpan(nil, stub.Snapshot(), bound)
	if len(encoded) > bound {
		tb.Fatalf("%d bytes, want at most %d", len(encoded), bound)
	}
	span := new(traces.Span)
	decode(tb, encoded, span)
	span.Attributes = takeMark(tb, span.Attributes)
	return span
}

func cutRecord(tb testing.TB, body attribute.Value, attrs []attribute.KeyValue, bound int) *logs.LogRecord {
	tb.Helper()
	encoded := otlp.AppendLogRecord(nil, emit(body, attrs...), bound)
	if len(encoded) > bound {
		tb.Fatalf("%d bytes, want at most %d", len(encoded), bound)
	}
	record := new(logs.LogRecord)
	decode(tb, encoded, record)
	record.Attributes = takeMark(tb, record.Attributes)
	return record
}

func takeMark(tb testing.TB, attrs []*common.KeyValue) []*common.KeyValue {
	tb.Helper()
	last := len(attrs) - 1
	if last < 0 || attrs[last].Key != "clew.truncated" || !attrs[last].Value.GetBoolValue() {
		tb.Fatalf("no attribute clew.truncated = true at the end of %v", attrs)
	}
	return attrs[:last]
}

// many returns n attributes with values of the given length.
func many(n, length int) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, n)
	for i := range attrs {
		attrs[i] = attribute.String(fmt.Sprintf("key.%07d", i), strings.Repeat("v", length))
	}
	return attrs
}

func TestWhatFitsIsNotCut(t *testing.T) {
	span, record := ordinarySpan(), emit(attribute.StringValue("body"), twelve()...)
	fullSpan, fullRecord := otlp.AppendSpan(nil, span, 0), otlp.AppendLogRecord(nil, record, 0)
	if got := otlp.AppendSpan(nil, span, len(fullSpan)); !slices.Equal(got, fullSpan) {
		t.Error("a span as long as the bound is changed")
	}
	if got := otlp.AppendLogRecord(nil, record, len(fullRecord)); !slices.Equal(got, fullRecord) {
		t.Error("a record as long as the bound is changed")
	}
	if got := otlp.AppendSpan([]byte("before"), span, len(fullSpan)-1); !strings.HasPrefix(string(got), "before") {
		t.Error("what was in the buffer is changed")
	}
	// A bound too short for any span counts as 256.
	if got := otlp.AppendSpan(nil, span, 1); len(got) > 256 || len(got) < 128 {
		t.Errorf("with a bound of 1, a span has %d bytes", len(got))
	}
}

func TestLongestTextIsCutFirst(t *testing.T) {
	const bound = 16 << 10
	long := strings.Repeat("x", 900_000)
	text := func(v *common.AnyValue) string { return v.GetStringValue() }
	for name, test := range map[string]struct {
		stub tracetest.SpanStub
		cut  func(*traces.Span) string
	}{
		"name":             {tracetest.SpanStub{Name: long}, (*traces.Span).GetName},
		"status message":   {tracetest.SpanStub{Status: sdktrace.Status{Description: long}}, func(s *traces.Span) string { return s.Status.Message }},
		"attribute":        {tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.String("url.full", long)}}, func(s *traces.Span) string { return text(s.Attributes[0].Value) }},
		"attribute key":    {tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.Bool(long, true)}}, func(s *traces.Span) string { return s.Attributes[0].Key }},
		"bytes":            {tracetest.SpanStub{Attributes: []attribute.KeyValue{{Key: "b", Value: attribute.ByteSliceValue([]byte(long))}}}, func(s *traces.Span) string { return string(s.Attributes[0].Value.GetBytesValue()) }},
		"in a list":        {tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.StringSlice("l", []string{"a", long})}}, func(s *traces.Span) string { return text(s.Attributes[0].Value.GetArrayValue().Values[1]) }},
		"in a map":         {tracetest.SpanStub{Attributes: []attribute.KeyValue{{Key: "m", Value: attribute.MapValue(attribute.String("k", long))}}}, func(s *traces.Span) string { return text(s.Attributes[0].Value.GetKvlistValue().Values[0].Value) }},
		"event name":       {tracetest.SpanStub{Events: []sdktrace.Event{{Name: long}}}, func(s *traces.Span) string { return s.Events[0].Name }},
		"event attribute":  {tracetest.SpanStub{Events: []sdktrace.Event{{Attributes: []attribute.KeyValue{attribute.String("exception.stacktrace", long)}}}}, func(s *traces.Span) string { return text(s.Events[0].Attributes[0].Value) }},
		"link's attribute": {tracetest.SpanStub{Links: []sdktrace.Link{{Attributes: []attribute.KeyValue{attribute.String("k", long)}}}}, func(s *traces.Span) string { return text(s.Links[0].Attributes[0].Value) }},
	} {
		t.Run(name, func(t *testing.T) {
			test.stub.Attributes = append(test.stub.Attributes, many(12, 100)...)
			span := cutSpan(t, test.stub, bound)
			if got := test.cut(span); len(got) < bound-2200 || !strings.HasPrefix(long, got) {
				t.Errorf("%d bytes of the text are left, want all but those of the other texts", len(got))
			}
			if proto.Size(span) < bound-64 {
				t.Errorf("%d bytes of the bound of %d are used", proto.Size(span), bound)
			}
			for _, kv := range span.Attributes[len(span.Attributes)-12:] {
				if len(text(kv.Value)) != 100 {
					t.Errorf("%s is cut to %d bytes", kv.Key, len(text(kv.Value)))
				}
			}
		})
	}
}

func TestLongTextsAreCutToTheSameLength(t *testing.T) {
	span := cutSpan(t, tracetest.SpanStub{Attributes: []attribute.KeyValue{
		attribute.String("a", strings.Repeat("a", 10_000)),
		attribute.String("b", strings.Repeat("b", 900)),
		attribute.String("c", strings.Repeat("c", 500_000)),
	}}, 4096)
	a, b, c := span.Attributes[0].Value.GetStringValue(), span.Attributes[1].Value.GetStringValue(), span.Attributes[2].Value.GetStringValue()
	if len(a) != len(c) || len(b) != 900 || len(a) < 1400 {
		t.Errorf("the lengths are %d, %d and %d, want the second as it was and the others equal", len(a), len(b), len(c))
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	for _, char := range []string{"é", "€", "🧵"} {
		for shift := range 4 {
			name := strings.Repeat("x", shift) + strings.Repeat(char, 5000)
			got := cutSpan(t, tracetest.SpanStub{Name: name}, 1000).Name
			if !utf8.ValidString(got) || !strings.HasPrefix(name, got) {
				t.Errorf("%q is cut to %q", name[:20], got)
			}
		}
	}
}

func TestWhatDoesNotFitIsCounted(t *testing.T) {
	events := make([]sdktrace.Event, 5000)
	for i := range events {
		events[i] = sdktrace.Event{Name: fmt.Sprint("event ", i)}
	}
	links := make([]sdktrace.Link, 5000)
	for i := range links {
		links[i] = sdktrace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{SpanID: [8]byte{byte(i), byte(i >> 8)}})}
	}
	checkCounts := func(t *testing.T, span *traces.Span, attributes, links, events int) {
		t.Helper()
		for _, list := range []struct {
			name          string
			total, kept   int
			counted, want uint32
		}{
			{"attributes", attributes, len(span.Attributes), span.DroppedAttributesCount, 1},
			{"links", links, len(span.Links), span.DroppedLinksCount, 2},
			{"events", events, len(span.Events), span.DroppedEventsCount, 3},
		} {
			if int(list.counted-list.want)+list.kept != list.total {
				t.Errorf("of %d %s, %d are kept and %d counted as dropped", list.total, list.name, list.kept, list.counted-list.want)
			}
		}
	}
	stub := tracetest.SpanStub{DroppedAttributes: 1, DroppedLinks: 2, DroppedEvents: 3}

	t.Run("events first", func(t *testing.T) {
		stub := stub
		stub.Attributes, stub.Links, stub.Events = many(100, 10), links[:100], events
		span := cutSpan(t, stub, 16<<10)
		checkCounts(t, span, 100, 100, 5000)
		if len(span.Attributes) != 100 || len(span.Links) != 100 || len(span.Events) < 300 {
			t.Errorf("%d attributes, %d links and %d events are kept", len(span.Attributes), len(span.Links), len(span.Events))
		}
		for i, e := range span.Events {
			if e.Name != fmt.Sprint("event ", i) {
				t.Fatalf("event %d is %q", i, e.Name)
			}
		}
	})
	t.Run("then links", func(t *testing.T) {
		stub := stub
		stub.Attributes, stub.Links, stub.Events = many(100, 10), links, events
		span := cutSpan(t, stub, 16<<10)
		checkCounts(t, span, 100, 5000, 5000)
		if len(span.Attributes) != 100 || len(span.Links) < 300 || len(span.Events) > 1 {
			t.Errorf("%d attributes, %d links and %d events are kept", len(span.Attributes), len(span.Links), len(span.Events))
		}
	})
	t.Run("then attributes", func(t *testing.T) {
		stub := stub
		stub.Attributes, stub.Links, stub.Events = many(20_000, 300), links, events
		span := cutSpan(t, stub, 16<<10)
		checkCounts(t, span, 20_000, 5000, 5000)
		if len(span.Attributes) < 90 || len(span.Attributes[5].Value.GetStringValue()) != 128 {
			t.Errorf("%d attributes are kept, with values of %d bytes", len(span.Attributes), len(span.Attributes[5].Value.GetStringValue()))
		}
	})
	t.Run("a long list takes no others away", func(t *testing.T) {
		stub := stub
		stub.Attributes = append([]attribute.KeyValue{attribute.IntSlice("list", make([]int, 20_000))}, twelve()...)
		span := cutSpan(t, stub, 16<<10)
		checkCounts(t, span, 13, 0, 0)
		if len(span.Attributes) != 12 {
			t.Errorf("%d attributes are kept, want 12", len(span.Attributes))
		}
	})
}

func TestTracestateIsNeverCut(t *testing.T) {
	var members []string
	for i := range 32 {
		members = append(members, fmt.Sprintf("vendor%d=%s", i, strings.Repeat("x", 250)))
	}
	state, err := trace.ParseTraceState(strings.Join(members, ","))
	if err != nil {
		t.Fatal(err)
	}
	stub := tracetest.SpanStub{
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceState: state}),
		Attributes:  many(3, 20_000),
	}
	if got := cutSpan(t, stub, 32<<10).TraceState; got != state.String() {
		t.Errorf("%d bytes of the tracestate are left, want all %d", len(got), len(state.String()))
	}
	if span := cutSpan(t, stub, 4<<10); span.TraceState != "" || len(span.Attributes) != 3 {
		t.Errorf("without room for the tracestate, %d bytes of it and %d attributes are kept", len(span.TraceState), len(span.Attributes))
	}
}

func TestBodyIsCut(t *testing.T) {
	const bound = 8 << 10
	if body := cutRecord(t, attribute.StringValue(strings.Repeat("x", 1e6)), twelve(), bound).Body.GetStringValue(); len(body) < bound-1000 {
		t.Errorf("%d bytes of the body are left", len(body))
	}
	record := cutRecord(t, attribute.IntSliceValue(make([]int, 20_000)), twelve(), bound)
	if n := len(record.Body.GetArrayValue().Values); n < 1800 {
		t.Errorf("%d numbers of the body are left", n)
	}
	if len(record.Attributes)+int(record.DroppedAttributesCount) != 12 {
		t.Errorf("of 12 attributes, %d are kept and %d counted as dropped", len(record.Attributes), record.DroppedAttributesCount)
	}
	record = cutRecord(t, attribute.MapValue(many(10_000, 300)...), nil, bound)
	entries := record.Body.GetKvlistValue().Values
	if len(entries) < 40 || entries[0].Key != "key.0000000" || len(entries[0].Value.GetStringValue()) != 128 {
		t.Errorf("%d entries of the body are left", len(entries))
	}
	record = cutRecord(t, attribute.StringValue("body"), many(10_000, 300), bound)
	if record.Body.GetStringValue() != "body" || len(record.Attributes)+int(record.DroppedAttributesCount) != 10_000 {
		t.Errorf("of 10,000 attributes, %d are kept and %d counted as dropped", len(record.Attributes), record.DroppedAttributesCount)
	}
}

// FuzzCut checks what holds for all messages that are cut.
func FuzzCut(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		checkCut(t, &generator{data})
	})
}

func TestCut(t *testing.T) {
	for seed := range uint64(500) {
		checkCut(t, seeded(seed))
	}
}

func checkCut(tb testing.TB, g *generator) {
	tb.Helper()
	var full, cut proto.Message
	var encode func(bound int) []byte
	if g.bool() {
		full, cut = new(traces.Span), new(traces.Span)
		span := g.anySpan()
		encode = func(bound int) []byte { return otlp.AppendSpan(nil, span, bound) }
	} else {
		full, cut = new(logs.LogRecord), new(logs.LogRecord)
		record := g.record()
		encode = func(bound int) []byte { return otlp.AppendLogRecord(nil, record, bound) }
	}
	whole := encode(0)
	decode(tb, whole, full)
	for _, bound := range []int{256, 257, 384, 512, 1000, 4000, 256 + int(binary.LittleEndian.Uint16(append(whole, 0, 0)))} {
		encoded := encode(bound)
		if len(whole) <= bound {
			if !slices.Equal(encoded, whole) {
				tb.Fatalf("a message of %d bytes is changed with a bound of %d", len(whole), bound)
			}
			continue
		}
		if len(encoded) > bound {
			tb.Fatalf("with a bound of %d, %d bytes are left of %d", bound, len(encoded), len(whole))
		}
		decode(tb, encoded, cut)
		checkKept(tb, full, cut)
	}
}

// checkKept checks that cut is a part of full, with the rest counted and the longest texts cut.
func checkKept(tb testing.TB, full, cut proto.Message) {
	tb.Helper()
	var c comparison
	switch cut := cut.(type) {
	case *traces.Span:
		full := full.(*traces.Span)
		cut.Attributes = takeMark(tb, cut.Attributes)
		checkCount(tb, full.DroppedAttributesCount, cut.DroppedAttributesCount, len(full.Attributes)-len(cut.Attributes))
		checkCount(tb, full.DroppedLinksCount, cut.DroppedLinksCount, len(full.Links)-len(cut.Links))
		checkCount(tb, full.DroppedEventsCount, cut.DroppedEventsCount, len(full.Events)-len(cut.Events))
		cut.DroppedAttributesCount, cut.DroppedLinksCount, cut.DroppedEventsCount = full.DroppedAttributesCount, full.DroppedLinksCount, full.DroppedEventsCount
		if cut.TraceState == "" && full.TraceState != "" {
			cut.TraceState = full.TraceState
		}
	case *logs.LogRecord:
		full := full.(*logs.LogRecord)
		cut.Attributes = takeMark(tb, cut.Attributes)
		checkCount(tb, full.DroppedAttributesCount, cut.DroppedAttributesCount, len(full.Attributes)-len(cut.Attributes))
		cut.DroppedAttributesCount = full.DroppedAttributesCount
	}
	if !c.part(full.ProtoReflect(), cut.ProtoReflect()) {
		tb.Fatalf("\n%v\nis not part of\n%v", cut, full)
	}
	if c.shortestCut != 0 && c.shortestCut < c.longest-3 {
		tb.Fatalf("a text is cut to %d bytes while another has %d", c.shortestCut, c.longest)
	}
}

func checkCount(tb testing.TB, before, after uint32, leftOut int) {
	tb.Helper()
	if want := min(uint64(before)+uint64(leftOut), 1<<32-1); uint64(after) != want {
		tb.Fatalf("%d are counted as dropped, want %d", after, want)
	}
}

// comparison finds out how long texts are after they were cut.
type comparison struct{ longest, shortestCut int }

// part reports whether cut is full with texts cut and elements of lists left out.
func (c *comparison) part(full, cut protoreflect.Message) bool {
	same := true
	full.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if f.IsList() {
			same = c.list(f, v.List(), cut.Get(f).List())
		} else {
			same = full.Has(f) == cut.Has(f) && c.value(f, v, cut.Get(f))
		}
		return same
	})
	return same
}

// list looks for each element of cut behind the one before in full. If some are left out, another
// may be found than the one that was kept, so that their lengths say nothing.
func (c *comparison) list(f protoreflect.FieldDescriptor, full, cut protoreflect.List) bool {
	if full.Len() != cut.Len() {
		c = new(comparison)
	}
	next := 0
	for i := range cut.Len() {
		for ; ; next++ {
			if next == full.Len() {
				return false
			}
			before := *c
			if c.value(f, full.Get(next), cut.Get(i)) {
				next++
				break
			}
			*c = before
		}
	}
	return true
}

func (c *comparison) value(f protoreflect.FieldDescriptor, full, cut protoreflect.Value) bool {
	switch f.Kind() {
	case protoreflect.MessageKind:
		return c.part(full.Message(), cut.Message())
	case protoreflect.StringKind, protoreflect.BytesKind:
		if f.Name() == "trace_state" || strings.HasSuffix(string(f.Name()), "_id") {
			return full.Equal(cut)
		}
		before, after := bytesOf(full), bytesOf(cut)
		c.longest = max(c.longest, len(after))
		if len(after) < len(before) && (c.shortestCut == 0 || len(after) < c.shortestCut) {
			c.shortestCut = len(after)
		}
		return strings.HasPrefix(before, after)
	}
	return full.Equal(cut)
}

func bytesOf(v protoreflect.Value) string {
	if b, ok := v.Interface().([]byte); ok {
		return string(b)
	}
	return v.String()
}
