package sampler

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Parent is a set of kinds of parents that a span may have.
type Parent uint8

// The kinds of parents. A span that is not a root has LocalParent|RemoteParent.
const (
	NoParent     Parent = 1 << iota // a root span
	LocalParent                     // a parent of this process
	RemoteParent                    // a parent extracted from a request or message
)

// ParentOf returns the kind of parent that a span context is. The span context may come
// from the context of a new span or be the Parent of a finished one.
func ParentOf(parent trace.SpanContext) Parent { return parentOf(&parent) }

func parentOf(psc *trace.SpanContext) Parent {
	switch {
	case !psc.IsValid():
		return NoParent
	case psc.IsRemote():
		return RemoteParent
	default:
		return LocalParent
	}
}

// String returns the names of the kinds, as in "none|remote".
func (p Parent) String() string {
	var names []string
	for kind, name := range []string{"none", "local", "remote"} {
		if p&(1<<kind) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// A Match is a condition on spans that are about to start or have ended. All fields
// that are set must hold; the zero Match holds for every span.
//
// Name and the values of Attributes are patterns: * stands for any run of characters,
// including slashes and the empty run, ? for any one character, and a backslash makes
// the next character stand for itself. A pattern must match the whole text, and upper
// and lower case differ. A pattern with ?, a backslash or a * before its end searches only
// the first 8 KiB of a text. What stands behind its last * is compared with the end of a
// longer text if it has no ? and no backslash; otherwise the pattern does not match one.
type Match struct {
	// Name is a pattern for the span name. Empty matches every name.
	Name string
	// Kind is the span kind. Zero, trace.SpanKindUnspecified, matches every
	// kind.
	Kind trace.SpanKind
	// Parent is the set of parents that match. Zero matches every parent.
	Parent Parent
	// Attributes are patterns for the values of attributes, all of which the span must
	// have. When a span starts, these are the attributes given to Tracer.Start. Numbers
	// and truth values are compared by their text (200, true), other values by their
	// text as JSON.
	Attributes map[attribute.Key]string
}

// A Matcher is a [Match] made ready for use. It is immutable. The zero Matcher
// matches every span.
type Matcher struct {
	name   pattern
	kind   trace.SpanKind
	parent Parent
	attrs  []attributePattern
}

type attributePattern struct {
	key     attribute.Key
	pattern pattern
}

// Compile makes the condition ready for use. Later changes of m.Attributes do
// not reach the Matcher.
func (m Match) Compile() Matcher {
	c := Matcher{kind: m.Kind, parent: m.Parent}
	if m.Name != "" {
		c.name = compile(m.Name)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Attributes)) {
		c.attrs = append(c.attrs, attributePattern{key, compile(m.Attributes[key])})
	}
	return c
}

// Matches reports whether the condition holds for a span with these
// properties; parent is one kind, as [ParentOf] returns it. It does not
// allocate, except for attributes that are slices or maps.
func (m *Matcher) Matches(name string, kind trace.SpanKind, parent Parent, attrs []attribute.KeyValue) bool {
	if m.kind != trace.SpanKindUnspecified && m.kind != kind ||
		m.parent != 0 && m.parent&parent == 0 ||
		!m.name.matches(name) {
		return false
	}
	for i := range m.attrs {
		if !m.attrs[i].matchesOne(attrs) {
			return false
		}
	}
	return true
}

func (a *attributePattern) matchesOne(attrs []attribute.KeyValue) bool {
	// If several attributes have the same key, the span gets the last one.
	for i := len(attrs) - 1; i >= 0; i-- {
		if attrs[i].Key != a.key {
			continue
		}
		if v := &attrs[i].Value; v.Type() == attribute.STRING {
			s := v.AsString()
			return !a.pattern.excludes(s) && a.pattern.matches(s)
		}
		return a.pattern.matchesValue(attrs[i].Value)
	}
	return false
}

func (m Match) String() string {
	var parts []string
	if m.Name != "" {
		parts = append(parts, "name="+strconv.Quote(m.Name))
	}
	if m.Kind != trace.SpanKindUnspecified {
		parts = append(parts, "kind="+m.Kind.String())
	}
	if m.Parent != 0 {
		parts = append(parts, "parent="+m.Parent.String())
	}
	for _, key := range slices.Sorted(maps.Keys(m.Attributes)) {
		parts = append(parts, string(key)+"="+strconv.Quote(m.Attributes[key]))
	}
	if parts == nil {
		return "any"
	}
	return strings.Join(parts, " ")
}
