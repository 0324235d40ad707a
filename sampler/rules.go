package sampler

import (
	"slices"
	"strings"
)

// A Rule says which policy is asked about the spans that match.
type Rule struct {
	// Match is the condition; the zero Match holds for every span.
	Match Match
	// When is a further condition, for what Match cannot express. Nil holds.
	// The rules for implementers of [Composable] apply to it.
	When func(Parameters) bool
	// Sampler decides about the spans that match. Nil is [AlwaysOff].
	Sampler Composable
}

// Rules asks the policy of the first rule that matches; a span that matches
// none is dropped. It is the specification's ComposableRuleBased.
//
// Only what is known when the span starts can be matched: its name, kind,
// parent, and the attributes given to Tracer.Start.
func Rules(rules ...Rule) Composable {
	s := &ruleBased{rules: slices.Clone(rules), matchers: make([]Matcher, len(rules))}
	for i := range s.rules {
		if s.rules[i].Sampler == nil {
			s.rules[i].Sampler = AlwaysOff()
		}
		s.matchers[i] = s.rules[i].Match.Compile()
	}
	return s
}

type ruleBased struct {
	rules    []Rule
	matchers []Matcher
}

func (s *ruleBased) SamplingIntent(p Parameters) Intent {
	for i := range s.matchers {
		if !s.matchers[i].Matches(p.Name, p.Kind, p.parent.kind, p.Attributes) {
			continue
		}
		if when := s.rules[i].When; when != nil && !when(p) {
			continue
		}
		return s.rules[i].Sampler.SamplingIntent(p)
	}
	return Intent{}
}

func (s *ruleBased) Description() string {
	var b strings.Builder
	b.WriteString("Rules{")
	for i, r := range s.rules {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(r.Match.String())
		if r.When != nil {
			b.WriteString(" when func")
		}
		b.WriteString(": ")
		b.WriteString(r.Sampler.Description())
	}
	b.WriteByte('}')
	return b.String()
}
