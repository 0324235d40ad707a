package view_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/view"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = int64(time.Millisecond)

// span is one of a test: ids are small numbers, times are milliseconds.
type span struct {
	trace, id, parent int
	service, name     string
	from, to          int64
	failed            bool
	kind              tracepb.Span_SpanKind
	attrs             []any // keys and values in turn
}

func id(n, length int) []byte {
	b := make([]byte, length)
	binary.BigEndian.PutUint32(b[length-4:], uint32(n)) //nolint:gosec // small
	return b
}

func parentID(n int) []byte {
	if n == 0 {
		return nil
	}
	return id(n, 8)
}

func request(spans ...span) *tracepb.TracesData {
	var req tracepb.TracesData
	for _, s := range spans {
		p := &tracepb.Span{
			TraceId: id(s.trace, 16), SpanId: id(s.id, 8), ParentSpanId: parentID(s.parent), Name: s.name, Kind: s.kind, Attributes: attributes(s.attrs...),
			StartTimeUnixNano: uint64(s.from * ms), EndTimeUnixNano: uint64(s.to * ms), //nolint:gosec // not negative
		}
		if s.failed {
			p.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
		}
		req.ResourceSpans = append(req.ResourceSpans, &tracepb.ResourceSpans{
			Resource:   &resourcepb.Resource{Attributes: attributes("service.name", s.service, "host.name", "node-"+s.service)},
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{p}}},
		})
	}
	return &req
}

func attributes(pairs ...any) []*commonpb.KeyValue {
	var attrs []*commonpb.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		v := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: fmt.Sprint(pairs[i+1])}}
		if n, ok := pairs[i+1].(int); ok {
			v = &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(n)}}
		}
		attrs = append(attrs, &commonpb.KeyValue{Key: pairs[i].(string), Value: v})
	}
	return attrs
}

func ringOf(spans ...span) *view.Ring {
	ring := view.NewRing(view.MinBytes)
	ring.AddTraces(request(spans...))
	return ring
}

func logRecord(trace, spanID int, at int64, body string) *logspb.LogsData {
	return &logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{
		TraceId: id(trace, 16), SpanId: parentID(spanID), TimeUnixNano: uint64(at * ms), //nolint:gosec // not negative
		Body: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: body}},
	}}}}}}}
}

// shop is one trace: a client's call to a server that asks a database.
var shop = []span{
	{trace: 1, id: 1, service: "web", name: "GET /", kind: tracepb.Span_SPAN_KIND_SERVER, from: 1000, to: 1100, attrs: []any{"http.route", "/", "http.response.status_code", 200}},
	{trace: 1, id: 2, parent: 1, service: "web", name: "call", kind: tracepb.Span_SPAN_KIND_CLIENT, from: 1010, to: 1090},
	{trace: 1, id: 3, parent: 2, service: "stock", name: "list items", kind: tracepb.Span_SPAN_KIND_SERVER, from: 1020, to: 1080, failed: true},
	{trace: 1, id: 4, parent: 3, service: "stock", name: "SELECT", kind: tracepb.Span_SPAN_KIND_CLIENT, from: 1030, to: 1070, attrs: []any{"db.system.name", "postgresql"}},
}

func TestSearch(t *testing.T) {
	ring := ringOf(shop...)
	ring.AddTraces(request(span{trace: 2, id: 1, service: "batch", name: "run", from: 0, to: 5000}))
	const first, second = "00000000000000000000000000000001", "00000000000000000000000000000002"
	for query, want := range map[string][]string{
		"":                                   {second, first},
		"service=web":                        {first},
		"service=we":                         nil,
		"service~WE":                         {first},
		`name="GET /"`:                       {first},
		"name~ITEMS":                         {first},
		"items":                              {first},
		"run":                                {second},
		"kind=client":                        {first},
		"error":                              {first},
		"-error":                             {second, first}, // of the first, other spans did not fail
		"service=batch -error":               {second},
		"duration>1s":                        {second},
		"duration>=5s":                       {second},
		"duration>5s":                        nil,
		"duration<50ms":                      {first},
		"duration<=40ms":                     {first},
		"http.route=/":                       {first},
		"http.route!=/ service=batch":        {second},
		"http.response.status_code=200":      {first},
		"http.response.status_code>=200":     {first},
		"http.response.status_code>200":      nil,
		"host.name=node-stock":               {first},
		"service=web http.route=/":           {first},
		"service=stock http.route=/":         nil, // not in one span
		first:                                {first},
		strings.ToUpper(first):               {first},
		"00000000":                           {second, first},
		"trace=" + second:                    {second},
		"00000000000000000000000000000003":   nil,
		"db.system.name~postgres error":      nil,
		"db.system.name~postgres -kind=chef": {first},
	} {
		q, err := view.ParseQuery(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		found, _ := ring.Search(q, 0, 10)
		var got []string
		for _, s := range found {
			got = append(got, s.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q finds %v, want %v", query, got, want)
		}
	}
}

func TestParseQueryErrors(t *testing.T) {
	for query, want := range map[string]string{
		`name="GET /`:     "closing quote is missing",
		"duration>100":    "duration such as 100ms",
		"duration=long":   "duration such as 100ms",
		"http.status>big": "must be a number",
		"name!x":          "operator must be one of",
	} {
		if _, err := view.ParseQuery(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", query, err, want)
		}
	}
}

func TestSearchPages(t *testing.T) {
	ring := view.NewRing(view.MinBytes)
	for i := range 5 {
		ring.AddTraces(request(span{trace: i + 1, id: 1}))
	}
	var got []string
	before := uint64(0)
	for more := true; more; {
		var page []view.Summary
		page, more = ring.Search(view.Query{}, before, 2)
		for _, s := range page {
			got = append(got, s.ID[31:])
			before = s.Sequence
		}
	}
	if strings.Join(got, "") != "54321" {
		t.Errorf("got %v", got)
	}
}

func TestSummary(t *testing.T) {
	ring := ringOf(shop...)
	ring.AddLogs(logRecord(1, 3, 1050, "no items"))
	found, _ := ring.Search(view.Query{}, 0, 1)
	got := found[0]
	got.Sequence = 0
	want := view.Summary{
		ID: "00000000000000000000000000000001", Service: "web", Name: "GET /", Start: "1000000000", Duration: 100 * ms, Spans: 4, Errors: 1, Logs: 1,
		Services: []view.ServiceCount{{Service: "web", Spans: 2}, {Service: "stock", Spans: 2}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// rows prints a trace's rows: depth, name, own time, critical time.
func rows(t *testing.T, ring *view.Ring) string {
	t.Helper()
	trace, ok := ring.Trace(view.TraceID(id(1, 16)))
	if !ok {
		t.Fatal("no trace")
	}
	var b strings.Builder
	for _, r := range trace.Rows {
		fmt.Fprintf(&b, "%d %s self=%d critical=", r.Depth, r.Name, r.Self/ms)
		for _, c := range r.Critical {
			fmt.Fprintf(&b, "%d-%d ", c[0]/ms, c[1]/ms)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestWaterfall(t *testing.T) {
	for _, test := range []struct {
		name  string
		spans []span
		want  string
	}{
		{"a chain", shop, `
0 GET / self=20 critical=90-100 0-10 
1 call self=20 critical=80-90 10-20 
2 list items self=20 critical=70-80 20-30 
3 SELECT self=40 critical=30-70 
`},
		{"children side by side: the one that ends last is critical", []span{
			{trace: 1, id: 1, name: "root", from: 0, to: 100},
			{trace: 1, id: 2, parent: 1, name: "short", from: 10, to: 40},
			{trace: 1, id: 3, parent: 1, name: "long", from: 10, to: 90},
		}, `
0 root self=20 critical=90-100 0-10 
1 short self=30 critical=
1 long self=80 critical=10-90 
`},
		{"children in turn, with a gap", []span{
			{trace: 1, id: 1, name: "root", from: 0, to: 100},
			{trace: 1, id: 3, parent: 1, name: "second", from: 60, to: 90},
			{trace: 1, id: 2, parent: 1, name: "first", from: 10, to: 50},
		}, `
0 root self=30 critical=90-100 50-60 0-10 
1 first self=40 critical=10-50 
1 second self=30 critical=60-90 
`},
		{"a child that outlives its parent", []span{
			{trace: 1, id: 1, name: "root", from: 0, to: 100},
			{trace: 1, id: 2, parent: 1, name: "late", from: 80, to: 150},
		}, `
0 root self=80 critical=0-80 
1 late self=70 critical=80-100 
`},
		{"a parent that was not received", []span{
			{trace: 1, id: 2, parent: 9, name: "orphan", from: 0, to: 10},
			{trace: 1, id: 3, name: "root", from: 5, to: 10},
		}, `
0 orphan self=10 critical=
0 root self=5 critical=5-10 
`},
		{"parents in a circle", []span{
			{trace: 1, id: 1, parent: 2, name: "a", from: 0, to: 10},
			{trace: 1, id: 2, parent: 1, name: "b", from: 2, to: 8},
			{trace: 1, id: 3, parent: 3, name: "own parent", from: 3, to: 4},
		}, `
0 own parent self=1 critical=3-4 
0 a self=4 critical=
1 b self=6 critical=
`},
		{"an end before the start", []span{{trace: 1, id: 1, name: "odd", from: 10, to: 5}}, `
0 odd self=0 critical=
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := "\n" + rows(t, ringOf(test.spans...)); got != test.want {
				t.Errorf("got%s\nwant%s", got, test.want)
			}
		})
	}
}

func TestGraph(t *testing.T) {
	g := ringOf(shop...).Graph(view.Query{})
	var got []string
	for _, n := range g.Nodes {
		got = append(got, fmt.Sprintf("%s external=%v %d/%d p50=%d", n.Service, n.External, n.Errors, n.Calls.Calls, n.P50/ms))
	}
	for _, e := range g.Edges {
		got = append(got, fmt.Sprintf("%s>%s %d/%d p95=%d", e.From, e.To, e.Errors, e.Calls.Calls, e.P95/ms))
	}
	want := []string{
		"postgresql external=true 0/1 p50=40", "stock external=false 1/1 p50=60", "web external=false 0/1 p50=100",
		"stock>postgresql 0/1 p95=40", "web>stock 1/1 p95=60",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestOperations(t *testing.T) {
	ring := view.NewRing(view.MinBytes)
	for i := range 20 { // 1 to 20 ms, and twice as long in a child
		ring.AddTraces(request(
			span{trace: i + 1, id: 1, service: "a", name: "op", from: 0, to: int64(3 * (i + 1))},
			span{trace: i + 1, id: 2, parent: 1, service: "b", name: "child", from: 0, to: int64(2 * (i + 1)), failed: i < 5},
		))
	}
	var got []string
	for _, o := range ring.Operations(view.Query{}) {
		got = append(got, fmt.Sprintf("%s %s %d/%d %d %d %d self=%d", o.Service, o.Name, o.Errors, o.Calls.Calls, o.P50/ms, o.P95/ms, o.Max/ms, o.Self/ms))
	}
	want := []string{"b child 5/20 20 38 40 self=420", "a op 0/20 30 57 60 self=210"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRing(t *testing.T) {
	t.Run("the oldest make room", func(t *testing.T) {
		ring := view.NewRing(view.MinBytes)
		payload := strings.Repeat("x", 10_000)
		for i := range 1000 {
			ring.AddTraces(request(span{trace: i + 1, id: 1, attrs: []any{"payload", payload}}))
		}
		s := ring.Stats()
		if s.Bytes > s.Limit || s.Received != 1000 || s.Evicted+int64(s.Traces) != 1000 || s.Traces < 70 {
			t.Errorf("%+v", s)
		}
		found, _ := ring.Search(view.Query{}, 0, 1000)
		if len(found) != s.Traces || found[0].ID != fmt.Sprintf("%032x", 1000) || found[len(found)-1].ID != fmt.Sprintf("%032x", 1001-s.Traces) {
			t.Errorf("%d traces, %s to %s", len(found), found[0].ID, found[len(found)-1].ID)
		}
	})
	t.Run("a trace has a share", func(t *testing.T) {
		ring := ringOf(span{trace: 2, id: 1})
		for i := range 1000 {
			ring.AddTraces(request(span{trace: 1, id: i + 1, attrs: []any{"payload", strings.Repeat("x", 2000)}}))
		}
		s := ring.Stats()
		if s.Traces != 2 || s.Evicted != 0 || s.Dropped == 0 || s.Received+s.Dropped != 1001 || s.Bytes > s.Limit/2+4096 {
			t.Errorf("%+v", s)
		}
		trace, _ := ring.Trace(view.TraceID(id(1, 16)))
		if trace.Dropped != s.Dropped {
			t.Errorf("the trace says %d dropped", trace.Dropped)
		}
	})
	t.Run("a span sent again counts once", func(t *testing.T) {
		ring := ringOf(shop...)
		ring.AddTraces(request(shop...))
		if s := ring.Stats(); s.Spans != 4 || s.Duplicates != 4 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("spans with wrong ids are left out", func(t *testing.T) {
		req := request(shop[0])
		req.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].TraceId = []byte{1}
		ring := view.NewRing(0)
		ring.AddTraces(req)
		if s := ring.Stats(); s.Spans != 0 || s.Limit != view.MinBytes {
			t.Errorf("%+v", s)
		}
	})
}

// TestBytesAreMemory compares the estimate with the heap.
func TestBytesAreMemory(t *testing.T) {
	ring := view.NewRing(1 << 30)
	before := heap()
	for i := range 5000 {
		// As received: nothing is shared with another request.
		b, err := proto.Marshal(request(
			span{trace: i + 1, id: 1, service: "shop", name: "GET /products/{id}", attrs: []any{"http.route", "/products/{id}", "http.request.method", "GET", "status", 200, "user", "somebody"}},
			span{trace: i + 1, id: 2, parent: 1, service: "shop", name: "SELECT", attrs: []any{"db.query.text", strings.Repeat("SELECT ", 20)}},
		))
		if err != nil {
			t.Fatal(err)
		}
		var req tracepb.TracesData
		if err := proto.Unmarshal(b, &req); err != nil {
			t.Fatal(err)
		}
		ring.AddTraces(&req)
	}
	used, estimated := float64(heap()-before), float64(ring.Stats().Bytes)
	if ratio := estimated / used; ratio < 0.8 || ratio > 1.5 {
		t.Errorf("estimated %.0f bytes, used %.0f: ratio %.2f", estimated, used, ratio)
	}
	runtime.KeepAlive(ring)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestWatch(t *testing.T) {
	ring := view.NewRing(view.MinBytes)
	changes, stop := ring.Watch()
	for range 3 {
		ring.AddTraces(request(shop...))
	}
	<-changes
	select {
	case <-changes:
		t.Error("changes that were not read count one by one")
	default:
	}
	stop()
	ring.AddTraces(request(shop...))
	select {
	case <-changes:
		t.Error("a change after stop")
	default:
	}
}

func get(t *testing.T, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	r.Host = "127.0.0.1:4380"
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Set(header[i], header[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSpanDetail(t *testing.T) {
	req := request(shop...)
	s := req.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	s.TraceState = "ot=th:c,shop=1"
	s.Links = []*tracepb.Span_Link{{TraceId: id(1, 16), SpanId: id(4, 8)}, {TraceId: id(7, 16), SpanId: id(1, 8)}}
	s.Events = []*tracepb.Span_Event{{Name: "hit", TimeUnixNano: 1_005_000_000}}
	ring := view.NewRing(view.MinBytes)
	ring.AddTraces(req)
	ring.AddLogs(logRecord(1, 1, 1002, "second"))
	ring.AddLogs(logRecord(1, 1, 1001, "first"))
	ring.AddLogs(logRecord(1, 2, 1001, "of another span"))
	ring.AddLogs(logRecord(1, 0, 1001, "of no span"))
	h := view.Handler(ring)

	w := get(t, h, "/api/traces/00000000000000000000000000000001/spans/0000000000000001")
	var d struct {
		view.SpanDetail
		Logs []view.LogLine
	}
	if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v: %s", w.Code, err, w.Body)
	}
	if len(d.Logs) != 2 || d.Logs[0].Body != "first" || d.Logs[1].Time != 2*ms {
		t.Errorf("logs %+v", d.Logs)
	}
	if len(d.Links) != 2 || !d.Links[0].Known || d.Links[1].Known {
		t.Errorf("links %+v", d.Links)
	}
	if len(d.Events) != 1 || d.Events[0].Time != 5*ms {
		t.Errorf("events %+v", d.Events)
	}
	if s := d.Tracestate.Members[0].Sampling; s == nil || s.Probability != 0.25 || s.AdjustedCount != 4 {
		t.Errorf("sampling %+v", s)
	}
	trace, _ := ring.Trace(view.TraceID(id(1, 16)))
	if len(trace.FreeLogs) != 1 || trace.Rows[0].Logs != 2 || trace.Rows[0].Links != 2 || len(trace.Rows[0].Events) != 1 {
		t.Errorf("row %+v, free logs %+v", trace.Rows[0], trace.FreeLogs)
	}
}
