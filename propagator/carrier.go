package propagator

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"

	"github.com/clewtrace/clew/tracecontext"
)

// Names of the two fields as the Recommendation writes them (sections 3.2.1
// and 3.3.1), and as [net/http.Header] has them.
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
// nobody can tell which one to trust, so they count as none.
func (f *fields) read(ctx context.Context, carrier propagation.TextMapCarrier) {
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		if len(c) > 0 {
			f.readHeader(ctx, http.Header(c))
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

// readHeader finds every spelling of the names, for they are case-insensitive
// (sections 3.2.1 and 3.3.1). A server of net/http leaves the canonical one, so
// that two look-ups do within its requests.
func (f *fields) readHeader(ctx context.Context, h http.Header) {
	parents, known := h[traceparentHeader]
	if !known && ctx.Value(http.ServerContextKey) != nil {
		return
	}
	states, more := h[tracestateHeader]
	if (!known || len(h) > 2 || len(h) == 2 && !more) && ctx.Value(http.ServerContextKey) == nil {
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

// sent is what a header holds of a traceparent in one object: a slice of one
// string, and the text of that.
type sent struct {
	values [1]string
	text   [traceparentLen]byte
}

// sentBoth has the slice for the tracestate too.
type sentBoth struct {
	sent
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
		// A tracestate that is there already belongs to another traceparent.
		// Nothing can be deleted from a carrier, but an empty list is valid.
		if state != "" || carrier.Get(tracestateName) != "" {
			carrier.Set(tracestateName, state)
		}
	}
}

// writeHeader replaces the trace context in h and leaves one spelling of each name.
func writeHeader(h http.Header, parent tracecontext.Traceparent, state string) {
	var s *sent
	written := 1
	if state == "" {
		s = &sent{}
	} else {
		both := &sentBoth{states: [1]string{state}}
		s = &both.sent
		h[tracestateHeader] = both.states[:]
		written = 2
	}
	text, _ := parent.AppendText(s.text[:0])
	s.values[0] = unsafe.String(&text[0], len(text)) // nobody else has these bytes yet
	h[traceparentHeader] = s.values[:]
	if len(h) == written {
		return
	}
	for name := range h {
		switch {
		case name == traceparentHeader, name == tracestateHeader && state != "":
		case isName(name, traceparentName), isName(name, tracestateName):
			delete(h, name)
		}
	}
}
