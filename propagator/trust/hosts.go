package trust

import (
	"fmt"
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
