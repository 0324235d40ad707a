// Package explain says what the headers of W3C Trace Context Level 2 mean, and
// which rule a header that is not valid breaks. What is valid, and where a rule is
// broken, is decided by package tracecontext.
package explain

import (
	"errors"

	"github.com/clewtrace/clew/tracecontext"
)

// Fault is where a header breaks a rule.
type Fault struct {
	Position int    `json:"position"` // byte offset in the header, from 0
	Rule     string `json:"rule"`
	Section  string `json:"section"` // its title in Trace Context Level 2
}

func faultOf(err error) *Fault {
	var e *tracecontext.ParseError
	if !errors.As(err, &e) {
		return nil
	}
	return &Fault{e.Position(), e.Rule(), e.Section()}
}
