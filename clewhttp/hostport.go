package clewhttp

import (
	"strconv"
	"strings"
)

// splitHostPort splits "host", "host:port", "[::1]" and "[::1]:port". The port
// is 0 if there is none that can be one. An address that is none of these, such
// as "::1" or "[::1", gives no host.
func splitHostPort(s string) (host string, port int) {
	if s == "" {
		return "", 0
	}
	host, rest := s, ""
	if s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0
		}
		host, rest = s[1:end], s[end+1:]
		if rest != "" && rest[0] != ':' {
			return "", 0
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 {
		host, rest = s[:i], s[i:]
		if strings.IndexByte(rest[1:], ':') >= 0 {
			return "", 0
		}
	}
	if rest == "" {
		return host, 0
	}
	return host, parsePort(rest[1:])
}

// parsePort is 0 for what is not a port number.
func parsePort(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// unusualPort is port unless it is the one that the scheme implies: Semantic
// Conventions 1.43.0, "HTTP spans", note on server.port.
func unusualPort(port int, https bool) int {
	if https && port == 443 || !https && port == 80 {
		return 0
	}
	return port
}
