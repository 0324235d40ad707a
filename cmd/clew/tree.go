package main

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// traceTree is one trace. A span whose parent was not received is a root.
type traceTree struct {
	id         string
	roots      []*node
	start, end uint64 // Unix time in nanoseconds
	spans      int
	services   map[string]bool
}

type node struct {
	span     otlpreceiver.Span
	logs     []otlpreceiver.Log // in order of time
	children []*node            // in order of start
}

// newTraces builds the traces, in order of start. Log records that belong to
// no span are left out.
func newTraces(spans []otlpreceiver.Span, logs []otlpreceiver.Log) []*traceTree {
	nodes := make(map[string]*node, len(spans))
	for _, s := range spans {
		nodes[string(s.GetSpanId())] = &node{span: s}
	}
	for _, l := range logs {
		if n := nodes[string(l.GetSpanId())]; n != nil {
			n.logs = append(n.logs, l)
		}
	}
	traces := map[string]*traceTree{}
	for _, n := range nodes {
		s := n.span
		t := traces[string(s.GetTraceId())]
		if t == nil {
			t = &traceTree{id: hex.EncodeToString(s.GetTraceId()), start: s.GetStartTimeUnixNano(), services: map[string]bool{}}
			traces[string(s.GetTraceId())] = t
		}
		t.spans++
		t.services[s.Service()] = true
		t.start, t.end = min(t.start, s.GetStartTimeUnixNano()), max(t.end, s.GetEndTimeUnixNano())
		if parent := nodes[string(s.GetParentSpanId())]; parent != nil {
			parent.children = append(parent.children, n)
		} else {
			t.roots = append(t.roots, n)
		}
	}
	for _, n := range nodes {
		slices.SortFunc(n.children, byStart)
		slices.SortStableFunc(n.logs, func(a, b otlpreceiver.Log) int { return cmp.Compare(a.GetTimeUnixNano(), b.GetTimeUnixNano()) })
	}
	return slices.SortedFunc(maps.Values(traces), func(a, b *traceTree) int { return cmp.Compare(a.start, b.start) })
}

func byStart(a, b *node) int {
	return cmp.Compare(a.span.GetStartTimeUnixNano(), b.span.GetStartTimeUnixNano())
}

const barWidth = 24

// print writes the trace: a line for each span, and below it its attributes,
// events and log lines.
func (t *traceTree) print(w io.Writer) {
	p := treePrinter{traceTree: t, out: w, width: terminalWidth(w)}
	p.wrapped("", "trace "+t.id+": "+count(t.spans, "span")+", "+count(len(t.services), "service")+", "+duration(t.start, t.end))
	fmt.Fprintln(w)
	for _, n := range t.roots {
		p.label = max(p.label, n.labelWidth(0))
	}
	slices.SortFunc(t.roots, byStart)
	for _, n := range t.roots {
		p.node(n, "", "")
	}
}

// A treePrinter prints a trace as wide as the terminal allows: it leaves out the bars,
// then the kinds, if names would be cut.
type treePrinter struct {
	*traceTree
	out   io.Writer
	width int // columns of the terminal, 0 if the output is none
	label int // columns of the longest name
}

// wrapped prints a text, broken between words.
func (p *treePrinter) wrapped(prefix, text string) {
	for _, line := range wrap(prefix, prefix+"  ", text, p.width) {
		fmt.Fprintln(p.out, line)
	}
}

// room reports whether so many columns fit behind the names.
func (p *treePrinter) room(columns int) bool { return p.width < minWidth || p.label+columns <= p.width }

const (
	takenByTime = 1 + 9 + 2 + len("unset") // columns, with what separates them
	takenByKind = 2 + 8
	takenByBar  = 2 + barWidth
)

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

func (n *node) label() string { return line(n.span.Service()) + "  " + line(n.span.GetName()) }

func (n *node) labelWidth(indent int) int {
	width := indent + utf8.RuneCountInString(n.label())
	for _, c := range n.children {
		width = max(width, c.labelWidth(indent+3))
	}
	return width
}

// node prints n behind the prefix first, and what belongs to it behind the prefix rest.
func (p *treePrinter) node(n *node, first, rest string) {
	s := n.span
	var kind, bar string
	if p.room(takenByTime + takenByKind) {
		kind = fmt.Sprintf("  %-8s", strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"))
	}
	if p.room(takenByTime + takenByKind + takenByBar) {
		bar = "  " + p.bar(s)
	}
	label := p.label
	if !p.room(takenByTime) {
		label = p.width - takenByTime
	}
	name := fits(first+n.label(), label)
	pad := strings.Repeat(" ", label-utf8.RuneCountInString(name))
	detail := rest + "   "
	if len(n.children) > 0 {
		detail = rest + "│  "
	}
	head := fmt.Sprintf("%s%s%s %9s%s  %s", name, pad, kind, duration(s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano()), bar, status(s.GetStatus()))
	fmt.Fprintln(p.out, strings.Join(wrap("", detail+"  ", head, p.width), "\n"))
	if attrs := keyAttributes(s.GetAttributes()); attrs != "" {
		p.wrapped(detail, attrs)
	}
	for _, e := range s.GetEvents() {
		p.wrapped(detail, "• "+line(e.GetName())+attributes(e.GetAttributes()))
	}
	for _, l := range n.logs {
		p.wrapped(detail, line(l.GetSeverityText())+" "+value(l.GetBody())+attributes(l.GetAttributes()))
	}
	for i, c := range n.children {
		if i == len(n.children)-1 {
			p.node(c, rest+"└─ ", rest+"   ")
		} else {
			p.node(c, rest+"├─ ", rest+"│  ")
		}
	}
}

// bar draws when the span was active within the time of the trace.
func (t *traceTree) bar(s otlpreceiver.Span) string {
	total := max(1, t.end-t.start)
	from := int((s.GetStartTimeUnixNano() - t.start) * barWidth / total)
	length := int((s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano()) * barWidth / total)
	from = min(from, barWidth-1)
	length = min(max(length, 1), barWidth-from)
	return strings.Repeat("·", from) + strings.Repeat("█", length) + strings.Repeat("·", barWidth-from-length)
}

func duration(start, end uint64) string {
	d := time.Duration(end - start) //nolint:gosec // spans do not last 292 years
	return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'f', 1, 64) + "ms"
}

func status(s *tracepb.Status) string {
	switch s.GetCode() {
	case tracepb.Status_STATUS_CODE_OK:
		return "OK"
	case tracepb.Status_STATUS_CODE_ERROR:
		return strings.TrimSpace("ERROR " + line(s.GetMessage()))
	default:
		return "unset" // nothing went wrong
	}
}

// shownAttributes are the attributes that are shown of a span, because they tell what
// it did.
var shownAttributes = []string{"http.request.method", "http.route", "url.full", "http.response.status_code", "error.type"}

func keyAttributes(attrs []*commonpb.KeyValue) string {
	var parts []string
	for _, key := range shownAttributes {
		if v := otlpreceiver.Attribute(attrs, key); v != nil {
			parts = append(parts, key+"="+value(v))
		}
	}
	return strings.Join(parts, " ")
}

func attributes(attrs []*commonpb.KeyValue) string {
	var text strings.Builder
	for _, a := range attrs {
		text.WriteString(" " + line(a.GetKey()) + "=" + value(a.GetValue()))
	}
	return text.String()
}

// value returns the text of the value of an attribute.
func value(v *commonpb.AnyValue) string {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return line(v.StringValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *commonpb.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	default:
		return line(fmt.Sprint(v))
	}
}
