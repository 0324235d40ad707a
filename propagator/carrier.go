package propagator

import (
	"net/http"
	"slices"
	"strings"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"

	"github.com/clewtrace/clew/tracecontext"
)

// Names of the two fields as the Recommendation writes them (sections 3.2.1
// and 3.3), and as [net/http.Header] has them.
const (
	traceparentName   = "traceparent"
	tracestateName    = "tracestate"
	traceparentHeader = "Traceparent"
	tracestateHeader  = "Tracestate"
)

// fields is what a carrier holds.
type fields struct {
	parent string   // the traceparent, empty unless there is exactly one
	state  string   // the first tracestate
	states []string // all of them, in order, if there is more than one
}

// read sets f to the fields in carrier. If there are two traceparent fields,
// nobody can tell which one to trust (section 4.3), so they count as none.
func (f *fields) read(carrier propagation.TextMapCarrier) {
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		if len(c) > 0 {
			f.readHeader(http.Header(c))
		}
	case propagation.MapCarrier:
		f.parent, f.state = c[traceparentName], c[tracestateName]
	case propagation.ValuesGetter:
		if parents := c.Values(traceparentName); len(parents) == 1 {
			f.set(parents, c.Values(tracestateName))
		}
	default:
		if f.parent = carrier.Get(traceparentName); f.parent != "" {
			f.state = carrier.Get(tracestateName)
		}
	}
}

func (f *fields) set(parents, states []string) {
	if len(parents) != 1 {
		return
	}
	f.parent = parents[0]
	if len(states) > 0 {
		f.state = states[0]
		if len(states) > 1 {
			f.states = states
		}
	}
}

// readHeader finds every spelling of the names: they are case-insensitive
// (sections 3.2.1 and 3.3), and only headers that came through net/http are
// sure to have them in one.
func (f *fields) readHeader(h http.Header) {
	known := 0
	var states []string
	parents, ok := h[traceparentHeader]
	if ok {
		known++
		if states, ok = h[tracestateHeader]; ok {
			known++
		}
	}
	if len(h) > known {
		parents, states = readSpellings(h, parents)
	}
	f.set(parents, states)
}

// readSpellings looks at every name in h. parents is what has the usual one.
func readSpellings(h http.Header, parents []string) (_, states []string) {
	var others []string // other spellings of tracestate
	for name, values := range h {
		switch {
		case name == traceparentHeader:
		case isName(name, traceparentName):
			parents = join(parents, values)
		case isName(name, tracestateName):
			others = append(others, name)
		}
	}
	slices.Sort(others) // a map has no order; the same fields give the same list
	for _, name := range others {
		states = join(states, h[name])
	}
	return parents, states
}

func join(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	return append(slices.Clip(a), b...)
}

func isName(s, name string) bool {
	return len(s) == len(name) && strings.EqualFold(s, name)
}

// trim removes optional whitespace around a field value, which is not part of
// it (RFC 9110 section 5.5).
func trim(s string) string {
	if s != "" && s[0] > ' ' && s[len(s)-1] > ' ' {
		return s
	}
	return strings.Trim(s, " \t")
}

// sent is the traceparent field of one header, in one object: the slice that
// the header holds, and the text of its string.
type sent struct {
	values [2]string // traceparent, tracestate
	text   [traceparentLen]byte
}

const traceparentLen = 55

// write replaces the trace context in carrier.
func write(carrier propagation.TextMapCarrier, parent tracecontext.Traceparent, state string, lowerCase bool) {
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		writeHeader(http.Header(c), parent, state, lowerCase)
	case propagation.MapCarrier:
		c[traceparentName] = parent.String()
		if state != "" {
			c[tracestateName] = state
		} else {
			delete(c, tracestateName)
		}
	default:
		carrier.Set(traceparentName, parent.String())
		// A tracestate that is there already belongs to another traceparent.
		// Nothing can be deleted from a carrier, but an empty list is valid.
		if state != "" || carrier.Get(tracestateName) != "" {
			carrier.Set(tracestateName, state)
		}
	}
}

// writeHeader leaves one spelling of each name in h.
func writeHeader(h http.Header, parent tracecontext.Traceparent, state string, lowerCase bool) {
	s := &sent{}
	text, _ := parent.AppendText(s.text[:0])
	// The bytes belong to s, which nobody else has yet.
	s.values = [2]string{unsafe.String(&text[0], len(text)), state}

	parentKey, stateKey := traceparentHeader, tracestateHeader
	if lowerCase {
		parentKey, stateKey = traceparentName, tracestateName
	}
	h[parentKey] = s.values[0:1:1]
	written := 1
	if state != "" {
		h[stateKey] = s.values[1:2:2]
		written++
	}
	if len(h) == written {
		return
	}
	for name := range h {
		switch {
		case name == parentKey, name == stateKey && state != "":
		case isName(name, traceparentName), isName(name, tracestateName):
			delete(h, name)
		}
	}
}
