package otelsetup

// Setting is one thing that is in effect.
type Setting struct {
	Name   string `json:"name"`   // the variable that sets it, the signal's own if there are two
	Value  string `json:"value"`  // secrets masked
	Source string `json:"source"` // SourceDefault, or the variable that was set
}

// SourceDefault is the source of a [Setting] that no variable set.
const SourceDefault = "default"
