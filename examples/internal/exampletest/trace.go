package exampletest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// Expect compares all traces received so far with want: one line per span,
// indented below its parent's, as in
//
//	client call-api INTERNAL
//		client GET CLIENT
//			server GET / SERVER ERROR links: publisher send PRODUCER
//
// Siblings are in alphabetical order, and so are traces. A span whose parent is
// not there says so. Leading tabs that all lines have in common do not count.
func (c *Collector) Expect(t *testing.T, want string) {
	t.Helper()
	if got, want := trees(c.Spans()), unindent(want); got != want {
		t.Errorf("traces are\n%s\nwant\n%s", got, want)
	}
}

// Find returns the only span of that service and name.
func (c *Collector) Find(t *testing.T, service, name string) otlpreceiver.Span {
	t.Helper()
	found := c.FindAll(service, name)
	if len(found) != 1 {
		t.Fatalf("%d spans %s %s, want 1; all traces:\n%s", len(found), service, name, trees(c.Spans()))
	}
	return found[0]
}

// FindAll returns the spans of that service and name, in order of arrival.
func (c *Collector) FindAll(service, name string) []otlpreceiver.Span {
	return slices.DeleteFunc(c.Spans(), func(s otlpreceiver.Span) bool {
		return s.Service() != service || s.GetName() != name
	})
}

// TraceID returns the hexadecimal id of the only trace received so far.
func (c *Collector) TraceID(t *testing.T) string {
	t.Helper()
	ids := make(map[string]bool)
	for _, s := range c.Spans() {
		ids[hex.EncodeToString(s.GetTraceId())] = true
	}
	if len(ids) != 1 {
		t.Fatalf("%d traces, want 1:\n%s", len(ids), trees(c.Spans()))
	}
	return slices.Collect(maps.Keys(ids))[0]
}

// spanKey is a span's identity. The trace id belongs to it: a child with
// another one is no child.
type spanKey struct{ trace, span string }

func trees(spans []otlpreceiver.Span) string {
	all := make(map[spanKey]otlpreceiver.Span, len(spans))
	children := make(map[spanKey][]otlpreceiver.Span)
	for _, s := range spans {
		all[spanKey{string(s.GetTraceId()), string(s.GetSpanId())}] = s
	}
	var roots []otlpreceiver.Span
	for _, s := range spans {
		parent := spanKey{string(s.GetTraceId()), string(s.GetParentSpanId())}
		if _, ok := all[parent]; ok {
			children[parent] = append(children[parent], s)
		} else {
			roots = append(roots, s)
		}
	}
	var format func(s otlpreceiver.Span, indent string) string
	formatAll := func(siblings []otlpreceiver.Span, indent string) string {
		var texts []string
		for _, s := range siblings {
			texts = append(texts, format(s, indent))
		}
		slices.Sort(texts)
		return strings.Join(texts, "")
	}
	format = func(s otlpreceiver.Span, indent string) string {
		key := spanKey{string(s.GetTraceId()), string(s.GetSpanId())}
		line := title(s)
		if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			line += " ERROR"
		}
		if parent := s.GetParentSpanId(); indent == "" && len(parent) > 0 {
			line += fmt.Sprintf(" parent: %x", parent)
		}
		line += links(s, all)
		return indent + line + "\n" + formatAll(children[key], indent+"\t")
	}
	return formatAll(roots, "")
}

func title(s otlpreceiver.Span) string {
	return s.Service() + " " + s.GetName() + " " + strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")
}

func links(s otlpreceiver.Span, all map[spanKey]otlpreceiver.Span) string {
	if len(s.GetLinks()) == 0 {
		return ""
	}
	var titles []string
	for _, l := range s.GetLinks() {
		if linked, ok := all[spanKey{string(l.GetTraceId()), string(l.GetSpanId())}]; ok {
			titles = append(titles, title(linked))
		} else {
			titles = append(titles, hex.EncodeToString(l.GetSpanId()))
		}
	}
	return " links: " + strings.Join(titles, ", ")
}

// unindent removes the tabs that all lines begin with, and empty lines.
func unindent(text string) string {
	var lines []string
	common := -1
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\n")
		if line == "" {
			continue
		}
		if tabs := len(line) - len(strings.TrimLeft(line, "\t")); common < 0 || tabs < common {
			common = tabs
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line[common:] + "\n")
	}
	return b.String()
}
