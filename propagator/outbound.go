package propagator

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Hosts is a list of hosts. The zero value contains none. It is immutable.
type Hosts struct {
	exact    map[string]bool
	suffixes []string // with the leading dot
}

// ParseHosts reads a list of host names and IP addresses, without ports.
// "*.example.com" stands for every name that ends in ".example.com", which
// example.com itself does not; "*" for every host.
func ParseHosts(patterns ...string) (Hosts, error) {
	hosts := Hosts{exact: map[string]bool{}}
	for _, pattern := range patterns {
		name := canonicalHost(pattern)
		suffix, wildcard := strings.CutPrefix(name, "*")
		switch {
		case pattern == "*":
			hosts.suffixes = append(hosts.suffixes, "")
		case wildcard && strings.HasPrefix(suffix, ".") && isHost(suffix[1:]):
			hosts.suffixes = append(hosts.suffixes, suffix)
		case !wildcard && isHost(name):
			hosts.exact[name] = true
		default:
			return Hosts{}, fmt.Errorf("host %q: want a host name or IP address without port, *.domain, or *", pattern)
		}
	}
	return hosts, nil
}

func canonicalHost(host string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return host
}

func isHost(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name != "" && !strings.ContainsAny(name, "*:/@?# \t") && !strings.HasPrefix(name, ".")
}

// Contains reports whether host, a name or address without port, is in the list.
func (h Hosts) Contains(host string) bool {
	host = canonicalHost(host)
	if h.exact[host] {
		return true
	}
	for _, suffix := range h.suffixes {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// Outbound returns a transport that sends trace context and baggage to hosts
// only, so that ids and baggage do not leak to third parties. Put it under the
// instrumentation, for that injects:
//
//	otelhttp.NewTransport(propagator.Outbound(http.DefaultTransport, hosts))
//
// From requests to other hosts it removes the header fields that [Boundary]
// removes, whoever set them, and a propagator of [Guard] below it adds none. Each request of a series of redirects is looked at.
// The span of the call is not affected. A nil base is [http.DefaultTransport].
func Outbound(base http.RoundTripper, hosts Hosts) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return outbound{base, hosts}
}

// withheldKey marks the context of a request to a third party. Instrumentation
// below Outbound finds no trace in the header, and must not add one again.
type withheldKey struct{}

type outbound struct {
	base  http.RoundTripper
	hosts Hosts
}

func (o outbound) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL != nil && !o.hosts.Contains(r.URL.Hostname()) {
		// A RoundTripper must not change the request it is given.
		r = r.WithContext(context.WithValue(r.Context(), withheldKey{}, true))
		r.Header = WithoutContext(r.Header)
	}
	return o.base.RoundTrip(r)
}

// CloseIdleConnections makes [http.Client.CloseIdleConnections] work.
func (o outbound) CloseIdleConnections() {
	if c, ok := o.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
