package view

import (
	"encoding/hex"
	"strconv"

	"github.com/clewtrace/clew/internal/explain"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Summary is a line in the list of traces. Times are in nanoseconds.
type Summary struct {
	ID       string         `json:"id"`
	Sequence uint64         `json:"sequence"` // in order of arrival
	Service  string         `json:"service"`  // of the root
	Name     string         `json:"name"`     // of the root
	Start    string         `json:"start"`    // since 1970, more than a JSON number holds
	Duration int64          `json:"duration"`
	Spans    int            `json:"spans"`
	Errors   int            `json:"errors"`
	Logs     int            `json:"logs"`
	Partial  bool           `json:"partial"` // the root has a parent that was not received
	Services []ServiceCount `json:"services"`
}

// ServiceCount is how many spans of a trace a service has.
type ServiceCount struct {
	Service string `json:"service"`
	Spans   int    `json:"spans"`
}

// Search returns at most limit of the selected traces, the newest first. If before is
// not 0, only traces whose sequence number is lower are returned. more reports whether
// there are others.
func (r *Ring) Search(q Query, before uint64, limit int) (found []Summary, more bool) {
	found = []Summary{}
	r.each(func(t *stored) bool {
		if before > 0 && t.sequence >= before || !q.matches(t) {
			return true
		}
		if len(found) == limit {
			more = true
			return false
		}
		found = append(found, summarize(t))
		return true
	})
	return found, more
}

// maxServices bounds the services that a summary names.
const maxServices = 100

func summarize(t *stored) Summary {
	s := Summary{ID: hex.EncodeToString(t.id[:]), Sequence: t.sequence, Spans: len(t.spans), Logs: len(t.logs)}
	ids := make(map[spanID]struct{}, len(t.spans))
	for _, span := range t.spans {
		ids[spanID(span.GetSpanId())] = struct{}{}
	}
	counts := map[string]int{}
	var root otlpreceiver.Span
	var first, last, rootStart int64
	for i, span := range t.spans {
		start, end := times(span)
		if i == 0 {
			first, last = start, end
		}
		first, last = min(first, start), max(last, end)
		if isError(span) {
			s.Errors++
		}
		service := span.Service()
		if counts[service]++; counts[service] == 1 && len(s.Services) < maxServices {
			s.Services = append(s.Services, ServiceCount{Service: service})
		}
		var parent spanID
		copy(parent[:], span.GetParentSpanId())
		if _, inner := ids[parent]; inner {
			continue
		}
		partial := parent != (spanID{})
		if root.Span == nil || s.Partial && !partial || s.Partial == partial && start < rootStart {
			root, rootStart, s.Partial = span, start, partial
		}
	}
	if root.Span == nil { // the parents form a circle
		root = t.spans[0]
	}
	for i := range s.Services {
		s.Services[i].Spans = counts[s.Services[i].Service]
	}
	s.Service, s.Name = root.Service(), root.GetName()
	s.Start, s.Duration = strconv.FormatInt(first, 10), last-first
	return s
}

// Trace is a trace as the waterfall shows it, with only what each row needs. Times are
// in nanoseconds since the start of the trace.
type Trace struct {
	Summary
	Version  uint64             `json:"version"` // changes when something arrives
	Dropped  int64              `json:"dropped"` // spans and records that were too large or exceeded the memory of a trace
	Names    []string           `json:"-"`       // of services; SpanRow.Service points here
	Rows     []SpanRow          `json:"-"`       // parents before children
	FreeLogs []otlpreceiver.Log `json:"-"`       // of no span

	start int64
}

// SpanRow is a span in the waterfall.
type SpanRow struct {
	ID       string     `json:"id"`
	Parent   int        `json:"parent"` // index, -1 for a root
	Depth    int        `json:"depth"`
	Service  int        `json:"service"`
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	Start    int64      `json:"start"`
	Duration int64      `json:"duration"`
	Self     int64      `json:"self"`
	Error    bool       `json:"error,omitempty"`
	Orphan   bool       `json:"orphan,omitempty"`
	Events   []int64    `json:"events,omitempty"` // times of the events
	Logs     int        `json:"logs,omitempty"`
	Links    int        `json:"links,omitempty"`
	Critical [][2]int64 `json:"critical,omitempty"`
}

// Trace returns the trace with the given id.
func (r *Ring) Trace(id TraceID) (Trace, bool) {
	st, ok := r.get(id)
	if !ok || len(st.spans) == 0 {
		return Trace{}, false
	}
	t := newTree(st.spans)
	t.findCriticalPath()
	logs := map[spanID]int{}
	for _, l := range st.logs {
		logs[logSpan(l)]++
	}
	names := map[string]int{}
	trace := Trace{Summary: summarize(&st), Version: st.version, Dropped: st.dropped, Rows: make([]SpanRow, len(t.nodes))}
	for i, n := range t.nodes {
		service, known := names[n.Service()]
		if !known {
			service = len(trace.Names)
			names[n.Service()] = service
			trace.Names = append(trace.Names, n.Service())
		}
		row := SpanRow{
			ID: hex.EncodeToString(n.GetSpanId()), Parent: n.parent, Depth: n.depth, Service: service, Name: n.GetName(), Kind: kind(n.Span),
			Start: n.start - t.start, Duration: n.end - n.start, Self: t.self(i), Error: isError(n.Span), Orphan: n.orphan,
			Logs: logs[spanID(n.GetSpanId())], Links: len(n.GetLinks()),
		}
		for _, e := range n.GetEvents() {
			row.Events = append(row.Events, since(e.GetTimeUnixNano(), t.start))
		}
		for _, c := range n.critical {
			row.Critical = append(row.Critical, [2]int64{c[0] - t.start, c[1] - t.start})
		}
		trace.Rows[i] = row
	}
	trace.FreeLogs, trace.start = st.logsOf(spanID{}), t.start
	return trace, true
}

func since(nanos uint64, start int64) int64 { return int64(min(nanos, 1<<62)) - start }

// SpanDetail is everything about a span. Times are in nanoseconds since the
// trace's start.
type SpanDetail struct {
	ID            string              `json:"id"`
	ParentID      string              `json:"parent_id"`
	Start         string              `json:"start"` // since 1970
	Status        string              `json:"status"`
	StatusMessage string              `json:"status_message"`
	Flags         uint32              `json:"flags"`
	Tracestate    *explain.Tracestate `json:"tracestate"`
	Scope         string              `json:"scope"`
	ScopeVersion  string              `json:"scope_version"`
	Attributes    []Attribute         `json:"attributes"`
	Resource      []Attribute         `json:"resource"`
	Events        []Event             `json:"events"`
	Links         []Link              `json:"links"`
	Logs          []otlpreceiver.Log  `json:"-"`
	DroppedByApp  uint32              `json:"dropped_by_app"` // attributes, events and links beyond the sender's limits

	start int64
}

// Event is an event of a span.
type Event struct {
	Name       string      `json:"name"`
	Time       int64       `json:"time"`
	Attributes []Attribute `json:"attributes"`
}

// Link is a link to a span, which may belong to another trace.
type Link struct {
	TraceID    string              `json:"trace_id"`
	SpanID     string              `json:"span_id"`
	Known      bool                `json:"known"` // the ring holds the trace
	Tracestate *explain.Tracestate `json:"tracestate"`
	Attributes []Attribute         `json:"attributes"`
}

// LogLine is a log record.
type LogLine struct {
	Time       int64       `json:"time"`
	Severity   string      `json:"severity"`
	Level      int32       `json:"level"` // severity number, 1 to 24; 0 if unknown
	Body       string      `json:"body"`
	Attributes []Attribute `json:"attributes"`
}

// Span returns a span of a trace.
func (r *Ring) Span(trace TraceID, id [8]byte) (SpanDetail, bool) {
	st, ok := r.get(trace)
	if !ok {
		return SpanDetail{}, false
	}
	var found otlpreceiver.Span
	start := int64(1 << 62)
	for _, s := range st.spans {
		from, _ := times(s)
		start = min(start, from)
		if spanID(s.GetSpanId()) == id {
			found = s
		}
	}
	if found.Span == nil {
		return SpanDetail{}, false
	}
	d := SpanDetail{
		ID: hex.EncodeToString(id[:]), ParentID: hex.EncodeToString(found.GetParentSpanId()),
		Start: strconv.FormatUint(found.GetStartTimeUnixNano(), 10), Status: statusText(found), StatusMessage: found.GetStatus().GetMessage(),
		Flags: found.GetFlags(), Tracestate: tracestate(found.GetTraceState()),
		Scope: found.Scope.GetName(), ScopeVersion: found.Scope.GetVersion(),
		Attributes: attributes(found.GetAttributes()), Resource: attributes(found.Resource.GetAttributes()),
		Events: []Event{}, Links: []Link{}, Logs: st.logsOf(id), start: start,
		DroppedByApp: found.GetDroppedAttributesCount() + found.GetDroppedEventsCount() + found.GetDroppedLinksCount(),
	}
	for _, e := range found.GetEvents() {
		d.Events = append(d.Events, Event{e.GetName(), since(e.GetTimeUnixNano(), start), attributes(e.GetAttributes())})
	}
	for _, l := range found.GetLinks() {
		var linked TraceID
		copy(linked[:], l.GetTraceId())
		_, known := r.get(linked)
		d.Links = append(d.Links, Link{
			TraceID: hex.EncodeToString(l.GetTraceId()), SpanID: hex.EncodeToString(l.GetSpanId()), Known: known,
			Tracestate: tracestate(l.GetTraceState()), Attributes: attributes(l.GetAttributes()),
		})
	}
	return d, true
}

func tracestate(header string) *explain.Tracestate {
	if header == "" {
		return nil
	}
	t := explain.ParseTracestate(header)
	return &t
}

func statusText(s otlpreceiver.Span) string {
	switch s.GetStatus().GetCode() {
	case 1:
		return "ok"
	case 2:
		return "error"
	default:
		return "unset"
	}
}

func logLine(l otlpreceiver.Log, start int64) LogLine {
	return LogLine{since(logTime(l), start), l.GetSeverityText(), int32(l.GetSeverityNumber()), valueText(l.GetBody()), attributes(l.GetAttributes())}
}
