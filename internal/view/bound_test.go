package view_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/view"
)

// TestEveryFieldCounts fills the fields of a span, a log record, their resource
// and scope, one at a time, and looks whether the ring counts their bytes.
func TestEveryFieldCounts(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	check := func(what proto.Message, add func(*view.Ring, proto.Message)) {
		eachString(what, long, func(path string, msg proto.Message) {
			ring := view.NewRing(1 << 30)
			add(ring, msg)
			if s := ring.Stats(); s.Traces != 1 || s.Bytes < int64(len(long)) {
				t.Errorf("%s: %d bytes counted", path, s.Bytes)
			}
		})
	}
	span := func() *tracepb.Span { return request(shop[0]).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0] }
	traces := func(ring *view.Ring, r *resourcepb.Resource, scope *commonpb.InstrumentationScope, s *tracepb.Span) {
		ring.AddTraces(&tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{Resource: r, ScopeSpans: []*tracepb.ScopeSpans{{Scope: scope, Spans: []*tracepb.Span{s}}}}}})
	}
	check(&resourcepb.Resource{}, func(ring *view.Ring, m proto.Message) { traces(ring, m.(*resourcepb.Resource), nil, span()) })
	check(&commonpb.InstrumentationScope{}, func(ring *view.Ring, m proto.Message) {
		traces(ring, nil, m.(*commonpb.InstrumentationScope), span())
	})
	check(&tracepb.Span{}, func(ring *view.Ring, m proto.Message) {
		s := m.(*tracepb.Span)
		if len(s.GetTraceId()) > 16 || len(s.GetSpanId()) > 8 {
			s = span() // refused
			s.Attributes = attributes("long", long)
		}
		s.TraceId, s.SpanId = id(1, 16), id(1, 8)
		if len(s.GetName()) > 0 { // cut
			s.Attributes = attributes("long", long)
		}
		traces(ring, nil, nil, s)
	})
	check(&logspb.LogRecord{}, func(ring *view.Ring, m proto.Message) {
		l := m.(*logspb.LogRecord)
		if len(l.GetTraceId()) > 16 { // refused
			l.Body = attributes("long", long)[0].GetValue()
		}
		l.TraceId = id(1, 16)
		ring.AddLogs(&logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{l}}}}}})
	})
}

// eachString calls visit with messages that have one string or bytes field
// each, filled with long, at every place where there can be one.
func eachString(root proto.Message, long string, visit func(path string, msg proto.Message)) {
	type build func(fill func(protoreflect.Message)) proto.Message
	var walk func(md protoreflect.MessageDescriptor, path string, depth int, build build)
	walk = func(md protoreflect.MessageDescriptor, path string, depth int, outer build) {
		for i := range md.Fields().Len() {
			fd := md.Fields().Get(i)
			here := path + "." + string(fd.Name())
			switch {
			case fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind:
				visit(here, outer(func(m protoreflect.Message) { setText(m, fd, long) }))
			case fd.Message() != nil && depth > 0:
				walk(fd.Message(), here, depth-1, func(fill func(protoreflect.Message)) proto.Message {
					return outer(func(m protoreflect.Message) {
						if fd.IsList() {
							fill(m.Mutable(fd).List().AppendMutable().Message())
						} else {
							fill(m.Mutable(fd).Message())
						}
					})
				})
			}
		}
	}
	md := root.ProtoReflect().Descriptor()
	walk(md, string(md.Name()), 5, func(fill func(protoreflect.Message)) proto.Message {
		m := root.ProtoReflect().New()
		fill(m)
		return m.Interface()
	})
}

func setText(m protoreflect.Message, fd protoreflect.FieldDescriptor, text string) {
	v := protoreflect.ValueOfString(text)
	if fd.Kind() == protoreflect.BytesKind {
		v = protoreflect.ValueOfBytes([]byte(text))
	}
	if fd.IsList() {
		m.Mutable(fd).List().Append(v)
	} else {
		m.Set(fd, v)
	}
}

// TestScopesOfOneResourceCount: a scope counts even if its resource is known,
// or if there is none.
func TestScopesOfOneResourceCount(t *testing.T) {
	for name, resource := range map[string]*resourcepb.Resource{"one resource": {}, "no resource": nil} {
		ring := view.NewRing(1 << 30)
		rs := &tracepb.ResourceSpans{Resource: resource}
		for i := range 50 {
			s := request(span{trace: 1, id: i + 1}).GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()
			rs.ScopeSpans = append(rs.ScopeSpans, &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: strings.Repeat("x", 10_000)}, Spans: s})
		}
		ring.AddTraces(&tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{rs}})
		if s := ring.Stats(); s.Spans != 50 || s.Bytes < 500_000 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestNamesAreCut(t *testing.T) {
	long := strings.Repeat("é", 1_000_000)
	ring := view.NewRing(1 << 30)
	ring.AddTraces(request(span{trace: 1, id: 1, service: long, name: long}))
	found, _ := ring.Search(view.Query{}, 0, 1)
	if s := found[0]; len(s.Service) > 256 || len(s.Name) > 1024 || !strings.HasSuffix(s.Name, "é…") || !strings.HasSuffix(s.Service, "é…") {
		t.Errorf("service of %d bytes, name of %d", len(s.Service), len(s.Name))
	}
	w := get(t, view.Handler(ring), "/api/traces")
	if w.Code != http.StatusOK || w.Body.Len() > 5000 {
		t.Errorf("status %d, an answer of %d bytes", w.Code, w.Body.Len())
	}
}

// TestSpanTooLargeIsDropped: what one span takes bounds what its answer takes.
func TestSpanTooLargeIsDropped(t *testing.T) {
	ring := view.NewRing(100 << 20)
	ring.AddTraces(request(span{trace: 1, id: 1, attrs: []any{"a", strings.Repeat("x", 800<<10)}}, span{trace: 1, id: 2, attrs: []any{"a", strings.Repeat("x", 1<<20)}}))
	if s := ring.Stats(); s.Spans != 1 || s.Dropped != 1 {
		t.Errorf("%+v", s)
	}
}

// TestManyOperationsAreSummedUp: an answer has a bounded number of rows, and no
// call is left out of it.
func TestManyOperationsAreSummedUp(t *testing.T) {
	ring := view.NewRing(1 << 30)
	var spans []span
	for i := range 5000 {
		spans = append(spans, span{trace: i/100 + 1, id: i + 1, parent: i, service: fmt.Sprint("s", i), name: strconv.Itoa(i), to: 1, kind: tracepb.Span_SPAN_KIND_SERVER})
	}
	ring.AddTraces(request(spans...))
	operations := ring.Operations(view.Query{})
	calls := 0
	for _, o := range operations {
		calls += o.Calls.Calls
	}
	if len(operations) != 2001 || calls != 5000 {
		t.Errorf("%d operations, %d calls", len(operations), calls)
	}
	g := ring.Graph(view.Query{})
	nodes := map[string]bool{}
	for _, n := range g.Nodes {
		nodes[n.Service] = true
	}
	calls = 0
	for _, e := range g.Edges {
		calls += e.Calls.Calls
		if !nodes[e.From] || !nodes[e.To] {
			t.Fatalf("edge from %s to %s", e.From, e.To)
		}
	}
	if len(g.Nodes) > 2002 || len(g.Edges) > 2001 || calls != 4950 {
		t.Errorf("%d nodes, %d edges, %d calls", len(g.Nodes), len(g.Edges), calls)
	}
}

// TestAnswersShareMemory: an answer that is too large is refused, and later ones
// are not.
func TestAnswersShareMemory(t *testing.T) {
	ring := view.NewRing(32 << 20)
	var spans []span
	for i := range 14_000 {
		spans = append(spans, span{trace: 1, id: i + 1, parent: i})
	}
	ring.AddTraces(request(spans...))
	ring.AddTraces(request(span{trace: 2, id: 1}))
	h := view.Handler(ring)
	for target, status := range map[string]int{
		"/api/traces/00000000000000000000000000000001": 507, "/api/traces/00000000000000000000000000000002": 200, "/api/traces": 200, "/api/traces/00000000000000000000000000000001/otlp": 200,
	} {
		if w := get(t, h, target); w.Code != status {
			t.Errorf("%s: status %d, want %d", target, w.Code, status)
		}
	}
}
