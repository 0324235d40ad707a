package trust

import (
	"net/http"

	"github.com/clewtrace/clew/internal/boundary"
)

// Transport returns a transport that sends trace context and baggage to hosts
// only, so that ids and baggage do not leak to third parties. It goes under the
// instrumentation, because that injects:
//
//	otelhttp.NewTransport(trust.Transport(http.DefaultTransport, hosts))
//
// From requests to other hosts it removes the header fields that [Handler]
// removes, whoever set them, and a propagator of [Propagator] below it adds
// none. Each request of a series of redirects is looked at. The span of the call
// is recorded as before. A nil base is what [http.DefaultTransport] is when
// Transport is called.
func Transport(base http.RoundTripper, hosts Hosts) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return transport{base, hosts}
}

type transport struct {
	base  http.RoundTripper
	hosts Hosts
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || t.hosts.Contains(r.URL.Hostname()) {
		return t.base.RoundTrip(r)
	}
	// A RoundTripper must not change the request it is given. The copy shares
	// the map of trailers, which the client fills while the body is read.
	inner := r.WithContext(boundary.Withhold(r.Context()))
	inner.Header = boundary.WithoutContext(r.Header)
	res, err := t.base.RoundTrip(inner)
	if res != nil && res.Request == inner {
		res.Request = r
	}
	return res, err
}

// CloseIdleConnections makes [http.Client.CloseIdleConnections] work.
func (t transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
