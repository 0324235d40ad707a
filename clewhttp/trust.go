package clewhttp

import (
	"net/http"

	"github.com/clewtrace/clew/propagator/trust"
)

// WithTrust makes [Handler] a trust boundary: it continues the traces of the
// callers that trusted accepts, for example [trust.Networks] or [trust.Secret].
// The request of another caller starts a new trace, linked to what the caller
// sent, and its baggage is dropped. By default every caller is trusted; a nil
// function trusts nobody. A service that the internet reaches wants this.
func WithTrust(trusted func(*http.Request) bool) HandlerOption {
	return handlerOption(func(c *handlerConfig) {
		c.boundary = func(next http.Handler) http.Handler { return trust.Handler(next, trusted) }
	})
}

// WithHosts sends trace ids and baggage only to these hosts: nothing leaks to
// others, and the client span is recorded all the same. By default every host
// gets them; the zero Hosts is none.
func WithHosts(hosts trust.Hosts) TransportOption {
	return transportOption(func(c *transportConfig) {
		c.boundary = func(base http.RoundTripper) http.RoundTripper { return trust.Transport(base, hosts) }
	})
}
