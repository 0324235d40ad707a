package propagator

import (
	"slices"
	"strings"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"

	"github.com/clewtrace/clew/tracecontext"
)

// Names in a header are case-insensitive (Trace Context Level 2, "Header Name"),
// but keys of a Go map are not. Two spellings are looked for: the canonical one of
// net/http, which gives it to every name that it reads, and the lower-case one of
// the Recommendation, which is in headers that something else has made. To find
// others, every name in the header would have to be looked at, which costs more
// than all the rest.
const (
	traceparentName   = "traceparent"
	tracestateName    = "tracestate"
	traceparentHeader = "Traceparent"
	tracestateHeader  = "Tracestate"
)

// fields is what a carrier holds. Two traceparent fields count as none, because
// nobody can tell which one is right.
type fields struct {
	parent string   // the traceparent, empty unless there is exactly one
	state  string   // the first tracestate
	states []string // all of them, in order, if there is more than one
}

// read sets f to what is in a carrier that is not a header.
func (f *fields) read(carrier propagation.TextMapCarrier) {
	switch c := carrier.(type) {
	case propagation.MapCarrier:
		f.parent, f.state = c[traceparentName], c[tracestateName]
	case propagation.ValuesGetter:
		if parents := c.Values(traceparentName); len(parents) == 1 {
			f.parent = parents[0]
			f.setStates(c.Values(tracestateName))
		}
	default:
		if f.parent = carrier.Get(traceparentName); f.parent != "" {
			f.state = carrier.Get(tracestateName)
		}
	}
}

func (f *fields) setStates(states []string) {
	if len(states) > 0 {
		f.state = states[0]
		if len(states) > 1 {
			f.states = states
		}
	}
}

// values returns the values of a name in both spellings, which are one list. It is
// the nth name that is looked for, and those before it were found: if h has no more
// than n names, there is no other spelling.
func values(h map[string][]string, canonical, lower string, nth int) []string {
	values, ok := h[canonical]
	if ok && len(h) == nth {
		return values
	}
	others, ok := h[lower]
	if !ok {
		return values
	}
	return join(values, others)
}

func join(a, b []string) []string {
	switch {
	case len(b) == 0:
		return a
	case len(a) == 0:
		return b
	}
	return append(slices.Clip(a), b...)
}

// trim removes optional whitespace around a field value. It is not part of the value
// (RFC 9110, "Field Values").
func trim(s string) string {
	if s != "" && s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t")
}

// parentValue is the value of a traceparent in a header, a slice of one string, with
// the text of that string. It is one allocation.
type parentValue struct {
	values [1]string
	text   [traceparentLen]byte
}

// bothValues has the value of a tracestate too.
type bothValues struct {
	parentValue
	states [1]string
}

const traceparentLen = 55

// write replaces the trace context in a carrier that is not a header.
func write(carrier propagation.TextMapCarrier, parent tracecontext.Traceparent, state string) {
	switch c := carrier.(type) {
	case propagation.MapCarrier:
		c[traceparentName] = parent.String()
		if state != "" {
			c[tracestateName] = state
		} else {
			delete(c, tracestateName)
		}
	default:
		carrier.Set(traceparentName, parent.String())
		// A tracestate that is there already belongs to another traceparent. A
		// carrier has no way to delete it, but an empty tracestate is valid.
		if state != "" || carrier.Get(tracestateName) != "" {
			carrier.Set(tracestateName, state)
		}
	}
}

// writeHeader replaces the trace context in h under the canonical names, and
// removes it under the lower-case ones.
func writeHeader(h map[string][]string, parent tracecontext.Traceparent, state string) {
	parents, states := newValues(parent, state)
	h[traceparentHeader] = parents
	if states != nil {
		h[tracestateHeader] = states
	} else if len(h) > 1 {
		remove(h, tracestateHeader)
	}
	if len(h) > 1 {
		remove(h, traceparentName)
		remove(h, tracestateName)
	}
}

// writeLowerHeader replaces the trace context in h under the lower-case names,
// and removes it under the canonical ones.
func writeLowerHeader(h map[string][]string, parent tracecontext.Traceparent, state string) {
	parents, states := newValues(parent, state)
	h[traceparentName] = parents
	if states != nil {
		h[tracestateName] = states
	} else {
		remove(h, tracestateName)
	}
	remove(h, traceparentHeader)
	remove(h, tracestateHeader)
}

// newValues returns the values of a header for a traceparent and, if state is not
// empty, for a tracestate.
func newValues(parent tracecontext.Traceparent, state string) (parents, states []string) {
	var v *parentValue
	if state == "" {
		v = &parentValue{}
	} else {
		both := &bothValues{states: [1]string{state}}
		v, states = &both.parentValue, both.states[:]
	}
	text, _ := parent.AppendText(v.text[:0])
	v.values[0] = unsafe.String(&text[0], len(text)) // nothing writes to these bytes again
	return v.values[:], states
}

// remove deletes a name that is seldom there.
func remove(h map[string][]string, name string) {
	if _, ok := h[name]; ok { //nolint:staticcheck // S1033: a look-up takes three quarters of the time of a delete
		delete(h, name)
	}
}
