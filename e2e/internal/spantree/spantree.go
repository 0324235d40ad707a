// Package spantree reduces a trace to what can be compared with another run of
// the same programs: everything but ids, times and where it was recorded.
package spantree

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// Span is a span and the log records written in it.
type Span struct {
	ID, Parent            string // hexadecimal; Parent is empty in a root
	Start                 uint64 // nanoseconds since 1970, only to order siblings
	Service               string
	Scope, ScopeVersion   string
	Name, Kind            string // Kind as in INTERNAL
	Attributes            Attributes
	Events                []Event
	Status, StatusMessage string // Status is empty, OK or ERROR
	Logs                  []string
}

// Event is a span event.
type Event struct {
	Name       string
	Attributes Attributes
}

// Attributes holds values in a form that shows their types: 200 is an integer,
// 200.0 a double, "200" a string.
type Attributes map[string]string

// Keys returns the keys in order.
func (a Attributes) Keys() []string { return slices.Sorted(maps.Keys(a)) }

// String returns the attributes in the order of their keys.
func (a Attributes) String() string {
	var b strings.Builder
	for i, key := range a.Keys() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + a[key])
	}
	return b.String()
}

// FromTraces returns the spans of td.
func FromTraces(td ptrace.Traces) []Span {
	var spans []Span
	for _, resource := range td.ResourceSpans().All() {
		service, _ := resource.Resource().Attributes().Get("service.name")
		for _, scope := range resource.ScopeSpans().All() {
			for _, s := range scope.Spans().All() {
				span := Span{
					ID:            s.SpanID().String(),
					Parent:        s.ParentSpanID().String(),
					Start:         uint64(s.StartTimestamp()),
					Service:       service.AsString(),
					Scope:         scope.Scope().Name(),
					ScopeVersion:  scope.Scope().Version(),
					Name:          s.Name(),
					Kind:          strings.ToUpper(s.Kind().String()),
					Attributes:    attributes(s.Attributes()),
					StatusMessage: s.Status().Message(),
				}
				if code := s.Status().Code(); code != ptrace.StatusCodeUnset {
					span.Status = strings.ToUpper(code.String())
				}
				for _, e := range s.Events().All() {
					span.Events = append(span.Events, Event{e.Name(), attributes(e.Attributes())})
				}
				spans = append(spans, span)
			}
		}
	}
	return spans
}

// AddLogs adds the records of ld to the spans they were written in, and returns
// the bodies of those that belong to none.
func AddLogs(spans []Span, ld plog.Logs) (outside []string) {
	byID := make(map[string]*Span, len(spans))
	for i := range spans {
		byID[spans[i].ID] = &spans[i]
	}
	for _, resource := range ld.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, record := range scope.LogRecords().All() {
				body := record.Body().AsString()
				if span, ok := byID[record.SpanID().String()]; ok {
					span.Logs = append(span.Logs, body)
				} else {
					outside = append(outside, body)
				}
			}
		}
	}
	return outside
}

func attributes(m pcommon.Map) Attributes {
	a := make(Attributes, m.Len())
	for key, v := range m.All() {
		a[key] = Value(v)
	}
	return a
}

// Value returns v in the form that [Attributes] holds.
func Value(v pcommon.Value) string {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return strconv.Quote(v.Str())
	case pcommon.ValueTypeDouble:
		return Double(v.Double())
	default:
		return v.AsString()
	}
}

// Double returns f in the form that [Attributes] holds.
func Double(f float64) string {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// Describe returns all that s holds but ids and times, for [Format].
func Describe(s Span) []string {
	head := fmt.Sprintf("%s %s %s (%s)", s.Service, s.Name, s.Kind, strings.TrimRight(s.Scope+" "+s.ScopeVersion, " "))
	if s.Status != "" {
		head += strings.TrimRight(" "+s.Status+" "+s.StatusMessage, " ")
	}
	lines := []string{head}
	if len(s.Attributes) > 0 {
		lines = append(lines, s.Attributes.String())
	}
	for _, e := range s.Events {
		lines = append(lines, strings.TrimRight("event "+e.Name+" "+e.Attributes.String(), " "))
	}
	for _, body := range s.Logs {
		lines = append(lines, "log "+body)
	}
	return lines
}

// Format writes the spans as a tree, each as the lines that describe returns,
// with what lies below it indented. A span whose parent is not there says so.
func Format(spans []Span, describe func(Span) []string) string {
	children := make(map[string][]Span)
	for _, s := range spans {
		children[s.Parent] = append(children[s.Parent], s)
	}
	var b strings.Builder
	var write func(parent, indent string)
	write = func(parent, indent string) {
		siblings := children[parent]
		delete(children, parent) // each once, even if a span were its own ancestor
		slices.SortFunc(siblings, func(x, y Span) int { return cmp.Compare(x.Start, y.Start) })
		for _, s := range siblings {
			for i, line := range describe(s) {
				if i > 0 {
					line = "  " + line
				}
				fmt.Fprintln(&b, indent+line)
			}
			write(s.ID, indent+"    ")
		}
	}
	write("", "")
	for _, parent := range slices.Sorted(maps.Keys(children)) {
		fmt.Fprintf(&b, "parent %s missing:\n", parent)
		write(parent, "    ")
	}
	return b.String()
}
