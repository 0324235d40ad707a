package clewtest

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Trace is a tree of spans. It has several roots if the parents of several
// spans were not recorded, because they are in other programs, for example.
type Trace struct {
	ID    trace.TraceID
	Roots []*Span
	shown []string
}

// A Span is a span that has ended, with those that it is the parent of.
type Span struct {
	sdktrace.ReadOnlySpan
	Children []*Span
}

// Attr returns the attribute with that key. The value of one that is absent has
// the type [attribute.EMPTY].
func (s *Span) Attr(key string) attribute.Value {
	for _, a := range s.Attributes() {
		if string(a.Key) == key {
			return a.Value
		}
	}
	return attribute.Value{}
}

// String returns the tree as text: a line for each span, indented by two spaces
// more than its parent.
func (t *Trace) String() string {
	var b strings.Builder
	for _, root := range t.Roots {
		root.write(&b, "", t.shown)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (s *Span) write(b *strings.Builder, indent string, shown []string) {
	b.WriteString(indent + s.Name())
	for _, key := range shown {
		if v := s.Attr(key); v.Type() != attribute.EMPTY {
			b.WriteString(" " + key + "=" + v.String())
		}
	}
	b.WriteByte('\n')
	for _, child := range s.Children {
		child.write(b, indent+"  ", shown)
	}
}

// Traces returns what was recorded, in the order in which the traces started.
// It waits up to ten seconds for spans that have not ended, and fails the test
// for those that it leaves out.
func (r *Recorder) Traces() []*Trace {
	r.t.Helper()
	var traces []*Trace
	byID := make(map[trace.TraceID]*Trace)
	spans := make(map[trace.SpanID]*Span)
	ended := r.finished()
	for _, s := range ended {
		spans[s.SpanContext().SpanID()] = &Span{ReadOnlySpan: s}
	}
	for _, s := range ended {
		id := s.SpanContext().TraceID()
		t := byID[id]
		if t == nil {
			t = &Trace{ID: id, shown: r.shown}
			byID[id] = t
			traces = append(traces, t)
		}
		span := spans[s.SpanContext().SpanID()]
		if parent := spans[s.Parent().SpanID()]; parent != nil {
			parent.Children = append(parent.Children, span)
		} else {
			t.Roots = append(t.Roots, span)
		}
	}
	if r.sorted {
		for _, t := range traces {
			sortSpans(t.Roots, r.shown)
		}
		slices.SortStableFunc(traces, func(a, b *Trace) int { return strings.Compare(a.String(), b.String()) })
	}
	return traces
}

func sortSpans(spans []*Span, shown []string) {
	for _, s := range spans {
		sortSpans(s.Children, shown)
	}
	text := func(s *Span) string {
		var b strings.Builder
		s.write(&b, "", shown)
		return b.String()
	}
	slices.SortStableFunc(spans, func(a, b *Span) int { return strings.Compare(text(a), text(b)) })
}

// Span returns the span with that name. The test ends as failed if there is
// none, or more than one.
func (r *Recorder) Span(name string) *Span {
	r.t.Helper()
	var found []*Span
	var search func([]*Span)
	search = func(spans []*Span) {
		for _, s := range spans {
			if s.Name() == name {
				found = append(found, s)
			}
			search(s.Children)
		}
	}
	for _, t := range r.Traces() {
		search(t.Roots)
	}
	if len(found) != 1 {
		r.t.Fatalf("%d spans are called %q, want one; recorded:\n%s", len(found), name, r.text())
	}
	return found[0]
}
