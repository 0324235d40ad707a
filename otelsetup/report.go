package otelsetup

import (
	"fmt"
	"slices"
	"strings"
)

// Report is what a [Telemetry] runs with. It can be printed, and marshalled as
// JSON.
type Report struct {
	Settings []Setting `json:"settings"`
	Problems []string  `json:"problems"` // what Start reported
}

// Setting is one thing that is in effect.
type Setting struct {
	Name   string `json:"name"`   // the variable that sets it, the signal's own if there are two; or an option
	Value  string `json:"value"`  // secrets masked
	Source string `json:"source"` // SourceDefault, SourceCode, or the variable that was set
}

// The sources of a [Setting] that no variable set.
const (
	SourceDefault = "default"
	SourceCode    = "code"
)

// Report says what is in effect, in the order in which it was read, and where
// each value comes from. Precedence, the same everywhere: an option in code,
// the signal's own variable, the general variable, the default.
func (t *Telemetry) Report() Report {
	r := Report{Settings: slices.Clone(t.settings), Problems: []string{}}
	for _, err := range t.problems {
		r.Problems = append(r.Problems, err.Error())
	}
	return r
}

// String is a table of the settings, and a line for each problem.
func (r Report) String() string {
	name, value := 0, 0
	for _, s := range r.Settings {
		name, value = max(name, len(s.Name)), max(value, len(s.Value))
	}
	var b strings.Builder
	for _, s := range r.Settings {
		fmt.Fprintf(&b, "%-*s  %-*s  %s\n", name, s.Name, value, s.Value, s.Source)
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "problem: %s\n", p)
	}
	return b.String()
}

// settings are what the options say.
func (c *config) settings() []Setting {
	var set []Setting
	add := func(name string, value any, given bool) {
		if given {
			set = append(set, Setting{name, fmt.Sprint(value), SourceCode})
		}
	}
	for _, a := range c.attributes {
		add("WithResourceAttributes", string(a.Key)+"="+a.Value.String(), true)
	}
	add("WithSpanProcessor", len(c.processors), len(c.processors) > 0)
	add("WithoutDefaultTransport", true, !c.defaultTransport)
	add("WithOTLPTransport", true, c.otlpTransport != nil)
	for _, customizers := range []struct {
		name string
		n    int
	}{
		{"CustomizeSampler", len(c.sampler)},
		{"CustomizePropagator", len(c.propagator)},
		{"CustomizeResource", len(c.resource)},
		{"CustomizeSpanProcessor", len(c.spanProcessor)},
		{"CustomizeSpanExporter", len(c.spanExporter)},
		{"CustomizeMetricExporter", len(c.metricExporter)},
		{"CustomizeLogExporter", len(c.logExporter)},
		{"CustomizeDelivery", len(c.delivery)},
	} {
		add(customizers.name, customizers.n, customizers.n > 0)
	}
	return set
}
