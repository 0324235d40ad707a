package propagator

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// message is the trace context found in a carrier.
type message struct {
	parent tracecontext.Traceparent
	held   trace.TraceState
	state  *received
}

// read finds the trace context in carrier. It reports false if there is no
// traceparent, an invalid one, or more than one.
func read(carrier propagation.TextMapCarrier) (message, bool) {
	parents := fields(carrier, traceparentName, traceparentHeader)
	if len(parents) != 1 {
		return message{}, false
	}
	// RFC 9110 section 5.5: whitespace around a field value is not part of it.
	parent, err := tracecontext.ParseTraceparent(strings.Trim(parents[0], " \t"))
	if err != nil {
		return message{}, false
	}
	m := message{parent: parent}
	m.held, m.state = readTracestate(fields(carrier, tracestateName, tracestateHeader))
	return m, true
}

func readTracestate(fields []string) (trace.TraceState, *received) {
	// Section 3.3: a tracestate that cannot be read is dropped, and the
	// traceparent is not affected.
	all, err := tracecontext.ParseTracestate(fields...)
	if err != nil {
		return trace.TraceState{}, nil
	}
	held, ok := hold(all)
	if ok {
		return held, nil
	}
	return held, &received{all: all, held: held}
}

// fields returns all fields of that name, in order.
func fields(carrier propagation.TextMapCarrier, name, canonical string) []string {
	switch c := carrier.(type) {
	case propagation.HeaderCarrier:
		found := c[canonical]
		for spelling, values := range c {
			if len(spelling) == len(name) && spelling != canonical && strings.EqualFold(spelling, name) {
				found = append(found[:len(found):len(found)], values...)
			}
		}
		return found
	case propagation.MapCarrier:
		if v, ok := c[name]; ok {
			return []string{v}
		}
		return nil
	case propagation.ValuesGetter:
		return c.Values(name)
	}
	if v := carrier.Get(name); v != "" {
		return []string{v}
	}
	return nil
}

// write replaces the trace context in carrier.
func write(carrier propagation.TextMapCarrier, parent tracecontext.Traceparent, state string, lowerCase bool) {
	h, ok := carrier.(propagation.HeaderCarrier)
	if !ok {
		writeFields(carrier, parent, state)
		return
	}
	for spelling := range h {
		if strings.EqualFold(spelling, traceparentName) || strings.EqualFold(spelling, tracestateName) {
			delete(h, spelling)
		}
	}
	parentKey, stateKey := traceparentHeader, tracestateHeader
	if lowerCase {
		parentKey, stateKey = traceparentName, tracestateName
	}
	http.Header(h)[parentKey] = []string{parent.String()}
	if state != "" {
		http.Header(h)[stateKey] = []string{state}
	}
}

func writeFields(carrier propagation.TextMapCarrier, parent tracecontext.Traceparent, state string) {
	carrier.Set(traceparentName, parent.String())
	switch m, ok := carrier.(propagation.MapCarrier); {
	case state != "":
		carrier.Set(tracestateName, state)
	case ok:
		delete(m, tracestateName)
	case carrier.Get(tracestateName) != "":
		// What is there belongs to another traceparent. An empty list is
		// valid (section 3.3.1.1), and a carrier has no way to delete.
		carrier.Set(tracestateName, "")
	}
}
