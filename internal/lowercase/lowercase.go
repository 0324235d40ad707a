// Package lowercase injects into HTTP headers under lower-case names.
//
// Trace Context Level 2, "Header Name", and Baggage, "Header Name", ask senders
// for lower-case names, and there are receivers that find no others. Over HTTP/1.1
// net/http sends a name as it is in the map; over HTTP/2 all names are lower-case.
package lowercase

import (
	"net/http"
	"strings"
)

// Carrier is an [http.Header] into which a propagator writes lower-case names. A
// name that is set loses its canonical spelling, so that it is sent once.
//
//	otel.GetTextMapPropagator().Inject(ctx, lowercase.Carrier(req.Header))
//
// The header must be one that is sent: [http.Header.Get] does not find such names.
type Carrier http.Header

// Get returns the first value of name, in lower-case or canonical spelling.
func (c Carrier) Get(name string) string {
	name = strings.ToLower(name)
	values, ok := c[name]
	if !ok {
		values = c[canonical(name)]
	}
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// Set replaces the values of name.
func (c Carrier) Set(name, value string) {
	name = strings.ToLower(name)
	delete(c, canonical(name))
	c[name] = []string{value}
}

// Keys returns the names in the header.
func (c Carrier) Keys() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	return names
}

// canonical returns how [http.Header] spells a lower-case name. For the usual
// names that takes no allocation.
func canonical(name string) string {
	switch name {
	case "traceparent":
		return "Traceparent"
	case "tracestate":
		return "Tracestate"
	case "baggage":
		return "Baggage"
	}
	return http.CanonicalHeaderKey(name)
}
