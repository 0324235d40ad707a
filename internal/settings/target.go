package settings

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/clewtrace/clew/internal/redact"
)

// grpcPort is where a receiver of OTLP over gRPC listens.
const grpcPort = "4317"

// grpcTarget is where requests over gRPC go.
type grpcTarget struct {
	// endpoint says whether there is TLS, by its scheme https, and what is
	// connected to, for messages: unix:///run/otel.sock or http://host:4317.
	endpoint *url.URL
	target   string // as gRPC spells it
	shown    string // without secrets
}

var errTarget = errors.New("must be http://host:port, https://host:port, host:port, dns:///host:port, dns://authority/host:port, " +
	"unix:///path, unix:path, unix-abstract:name, passthrough:///host:port, ipv4:address:port or ipv6:[address]:port")

// security is what OTEL_EXPORTER_OTLP_INSECURE says: nothing, true or false.
// OpenTelemetry Protocol Exporter, "Configuration Options": it counts for an
// endpoint without the scheme http or https, where its default is TLS. A socket in
// the file system is plain by default, as in the exporters of OpenTelemetry Go.
type security string

// scheme is that of an endpoint that names none.
func (s security) scheme() string {
	if s == "true" {
		return "http"
	}
	return "https"
}

// targetKind accepts what gRPC does (gRPC Name Resolution, "Name Syntax"), and the
// URLs of the specification.
func targetKind(secure security) kind[grpcTarget] {
	return kind[grpcTarget]{
		parse: func(text string) (grpcTarget, error) { return parseTarget(text, secure) },
		show:  func(t grpcTarget) string { return t.shown },
	}
}

func parseTarget(text string, secure security) (t grpcTarget, err error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme = strings.ToLower(scheme); scheme {
	case "unix", "unix-abstract":
		return socketTarget(scheme, rest, secure)
	case "ipv4", "ipv6":
		// gRPC for Go has no resolver for these, and takes the address alone.
		address, ok := ipAddress(scheme, rest)
		if !ok {
			return t, errTarget
		}
		return hostTarget(address, secure, func(host string) string { return host })
	case "dns", "passthrough":
		before, host := "", rest
		if authority, ok := strings.CutPrefix(rest, "//"); ok {
			authority, below, ok := strings.Cut(authority, "/")
			if !ok || scheme == "passthrough" && authority != "" || strings.Contains(authority, "@") {
				return t, errTarget
			}
			before, host = "//"+authority+"/", below
		}
		t, err = hostTarget(host, secure, func(host string) string { return scheme + ":" + before + host })
		t.shown = redact.Text(t.target)
		return t, err
	}
	return hostTarget(text, secure, func(host string) string { return host })
}

// hostTarget reads a URL, or a host with or without a port. A target is made of
// its host, with the port.
func hostTarget(text string, secure security, target func(host string) string) (grpcTarget, error) {
	if text == "" {
		return grpcTarget{}, errTarget
	}
	k := address("", secure.scheme())
	u, err := k.parse(text)
	if err != nil {
		return grpcTarget{}, errTarget
	}
	port := u.Port()
	if port == "" {
		port = grpcPort
	}
	// gRPC reads a target as a URL, of scheme dns if it has none that is known.
	made := target(strings.ReplaceAll(net.JoinHostPort(u.Hostname(), port), "%", "%25"))
	if _, err := url.Parse("dns:///" + made); err != nil {
		return grpcTarget{}, errTarget
	}
	if _, err := url.Parse(made); err != nil && strings.HasPrefix(made, "dns:") {
		return grpcTarget{}, errTarget
	}
	return grpcTarget{endpoint: u, target: made, shown: k.show(u)}, nil
}

// socketTarget reads the path of a socket, which has no authority before it, or
// an abstract name.
func socketTarget(scheme, rest string, secure security) (grpcTarget, error) {
	path, absolute := rest, strings.HasPrefix(rest, "//")
	if absolute {
		path = rest[len("//"):]
	}
	target := scheme + ":" + rest
	u, err := url.Parse(target)
	if err != nil || strings.Trim(path, "/") == "" || absolute && path[0] != '/' || u.Path+u.Opaque != path {
		return grpcTarget{}, errTarget
	}
	if secure == "false" {
		u = &url.URL{Scheme: "https", Host: "localhost", Path: "/" + strings.TrimPrefix(path, "/")}
	}
	return grpcTarget{endpoint: u, target: target, shown: redact.Text(target)}, nil
}

// Socket returns the address of the unix socket that requests are sent to, and ""
// if they go to a host.
func (c *OTLP) Socket() string {
	scheme, path, _ := strings.Cut(c.Target, ":")
	path = strings.TrimPrefix(path, "//")
	switch scheme {
	case "unix":
		return path
	case "unix-abstract":
		return "@" + path
	}
	return ""
}

// ipAddress returns the one address behind ipv4: or ipv6:, with its port.
func ipAddress(scheme, text string) (address string, ok bool) {
	at, err := netip.ParseAddrPort(text)
	if err != nil {
		ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
		if err != nil {
			return "", false
		}
		at = netip.AddrPortFrom(ip, 4317)
	}
	return at.String(), at.Addr().Is4() == (scheme == "ipv4")
}

// resolveTarget reads where a signal is sent over gRPC.
func (c *OTLP) resolveTarget(r *report, secure security, variable, source, text string) {
	standard := grpcTarget{endpoint: mustParse("http://localhost:" + grpcPort), target: "localhost:" + grpcPort, shown: "http://localhost:" + grpcPort}
	t := resolve(r, targetKind(secure), variable, source, text, standard)
	c.Endpoint, c.Target = t.endpoint, t.target
}
