// Package explain says what W3C trace context headers mean, and where an
// invalid one breaks which rule. Package tracecontext decides what is valid;
// this one is slower and tells more.
//
// Section numbers refer to Trace Context Level 2,
// https://www.w3.org/TR/trace-context-2/.
package explain

// Fault is where a header breaks a rule.
type Fault struct {
	Position int    `json:"position"` // byte offset in the header, from 0
	Rule     string `json:"rule"`
	Section  string `json:"section"` // of Trace Context Level 2
}
