package otelsetup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clewtrace/clew/internal/settings"
)

// Report is what a [Telemetry] runs with. It can be printed, and marshalled as
// JSON.
type Report struct {
	Settings []Setting `json:"settings"`
	Problems []Problem `json:"problems"` // what was asked for and cannot be done
}

// Setting is one thing that is in effect. Secrets in it are masked.
type Setting struct {
	Name   string `json:"name"` // the variable that sets it, the signal's own if there are two; or an option
	Value  string `json:"value"`
	Source string `json:"source"` // "default", "code", the variable that was set, or a key of the configuration file
}

// Problem is something that was asked for and cannot be done. Secrets in it are
// masked.
type Problem struct {
	Name   string `json:"name"`            // the variable, the key of the configuration file, or the part that failed; may be empty
	Value  string `json:"value,omitempty"` // as it was found
	Reason string `json:"reason"`          // what is wrong, and what is accepted
	Using  string `json:"using,omitempty"` // what is in effect instead
}

// String is one line, for example:
//
//	OTEL_TRACES_SAMPLER_ARG="1.5": ratio must be between 0 and 1; using 1
func (p Problem) String() string { return settings.Problem(p).String() }

// Report says what is in effect, in the order in which it was read, and where
// each value comes from. Precedence, the same everywhere: an option in code,
// the signal's own variable, the general variable, the default.
func (t *Telemetry) Report() Report {
	return Report{Settings: slices.Clone(t.report.Settings), Problems: slices.Clone(t.report.Problems)}
}

func newReport(effective []settings.Setting, c *config, problems []settings.Problem) Report {
	r := Report{Settings: []Setting{}, Problems: []Problem{}}
	for _, s := range effective {
		r.Settings = append(r.Settings, Setting(s))
	}
	r.Settings = append(r.Settings, c.given...)
	for _, p := range problems {
		r.Problems = append(r.Problems, Problem(p))
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
