package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clewtrace/clew/internal/redact"
)

// target is an endpoint and the signals to test there.
type target struct {
	endpoint *Endpoint
	sends    []send
	proxy    *url.URL // nil: none
	notes    []string
	problems []Problem
}

// group puts the signals together that go to one address in the same way.
func group(env *environment) []*target {
	var targets []*target
	for _, s := range env.sends {
		address := s.Endpoint.Scheme + "://" + net.JoinHostPort(s.Endpoint.Hostname(), s.port())
		if s.Socket() != "" {
			address = redact.Text(s.Target)
		}
		i := slices.IndexFunc(targets, func(t *target) bool {
			return t.endpoint.Address == address && t.endpoint.Protocol == s.protocol && sameTLS(t.sends[0].TLS, s.TLS)
		})
		if i < 0 {
			i = len(targets)
			targets = append(targets, &target{endpoint: &Endpoint{Address: address, Protocol: s.protocol, Steps: []Step{}}, proxy: s.proxy()})
		}
		t := targets[i]
		t.sends = append(t.sends, s)
		t.endpoint.Signals = append(t.endpoint.Signals, s.Signal)
	}
	return targets
}

func sameTLS(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.RootCAs.Equal(b.RootCAs) && slices.EqualFunc(a.Certificates, b.Certificates, func(x, y tls.Certificate) bool {
		return slices.EqualFunc(x.Certificate, y.Certificate, slices.Equal)
	})
}

func (s send) port() string {
	switch {
	case s.Endpoint.Port() != "":
		return s.Endpoint.Port()
	case s.protocol == protocolGRPC:
		return "4317"
	case s.Endpoint.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// proxy returns the proxy that the exporters use, nil if none. gRPC asks for
// one as HTTPS does, whether it uses TLS or not.
func (s send) proxy() *url.URL {
	if s.Socket() != "" {
		return nil
	}
	u := *s.Endpoint
	if s.protocol == protocolGRPC {
		u.Scheme = "https"
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &u})
	if err != nil {
		return nil // the request will fail, and its error says why
	}
	return proxy
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// step records a test that began at start.
func (t *target) step(name string, start time.Time, detail string, p *Problem) bool {
	t.endpoint.Steps = append(t.endpoint.Steps, Step{name, p == nil, detail, milliseconds(start)})
	if p != nil {
		t.problems = append(t.problems, *p)
	}
	return p == nil
}

// test tries the address, and each signal if it can be reached. It returns what
// is wrong.
func (t *target) test(ctx context.Context, sample *sample) []Problem {
	dial, cancel := context.WithTimeout(ctx, t.sends[0].Timeout)
	defer cancel()
	if !t.resolve(dial) || !t.connect(dial) {
		return t.problems
	}
	type outcome struct {
		start  time.Time
		took   float64
		detail string
		wrong  *Problem
	}
	outcomes := make([]outcome, len(t.sends))
	var wait sync.WaitGroup
	for i, s := range t.sends {
		wait.Go(func() {
			start := time.Now()
			detail, wrong := s.try(ctx, sample)
			outcomes[i] = outcome{start, milliseconds(start), detail, wrong}
		})
	}
	wait.Wait()
	for i, o := range outcomes {
		t.step(t.sends[i].Signal, o.start, o.detail, o.wrong)
		t.endpoint.Steps[len(t.endpoint.Steps)-1].Milliseconds = o.took
	}
	return t.problems
}

// dial connects to the endpoint, without a proxy.
func (s send) dial(ctx context.Context) (net.Conn, error) {
	if socket := s.Socket(); socket != "" {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(s.Endpoint.Hostname(), s.port()))
}

// hostPort is what is connected to.
func (t *target) hostPort() (host, port string) {
	if t.proxy == nil {
		return t.sends[0].Endpoint.Hostname(), t.sends[0].port()
	}
	return proxyAddress(t.proxy)
}

func proxyAddress(proxy *url.URL) (host, port string) {
	port = proxy.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return proxy.Hostname(), port
}

func (t *target) resolve(ctx context.Context) bool {
	host, _ := t.hostPort()
	if t.proxy != nil {
		t.notes = append(t.notes, fmt.Sprintf("%s is reached through the proxy %s, which HTTP_PROXY, HTTPS_PROXY and NO_PROXY decide", t.endpoint.Address, redact.Text(t.proxy.String())))
	}
	if _, err := netip.ParseAddr(host); err == nil || t.sends[0].Socket() != "" {
		return true // nothing to resolve
	}
	start := time.Now()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return t.step("resolve", start, host, t.unresolved(host, err))
	}
	var list []string
	for _, ip := range ips {
		list = append(list, ip.Unmap().String())
	}
	slices.Sort(list)
	return t.step("resolve", start, strings.Join(slices.Compact(list), ", "), nil)
}

// connect opens a connection, over TLS if the endpoint wants that, and closes it.
func (t *target) connect(ctx context.Context) bool {
	host, port := t.hostPort()
	address := net.JoinHostPort(host, port)
	if socket := t.sends[0].Socket(); socket != "" {
		address = socket
	}
	start := time.Now()
	var conn net.Conn
	var err error
	if t.proxy == nil {
		conn, err = t.sends[0].dial(ctx)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return t.step("connect", start, address, t.unconnected(address, err))
	}
	defer conn.Close()
	t.step("connect", start, conn.RemoteAddr().String(), nil)
	if t.sends[0].Endpoint.Scheme != "https" || t.proxy != nil {
		return true
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.sends[0].TLS != nil {
		config = t.sends[0].TLS.Clone()
	}
	config.ServerName = host
	config.NextProtos = []string{"h2", "http/1.1"}
	if t.sends[0].protocol == protocolGRPC {
		config.NextProtos = []string{"h2"}
	}
	start = time.Now()
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		detail, wrong := t.untrusted(ctx, err)
		return t.step("tls", start, detail, wrong)
	}
	state := secure.ConnectionState()
	leaf := state.PeerCertificates[0]
	if left := time.Until(leaf.NotAfter); left < expirySoon {
		t.notes = append(t.notes, fmt.Sprintf("the certificate of %s expires in %d days, on %s", t.endpoint.Address, int(left.Hours()/24), leaf.NotAfter.Format(time.DateOnly)))
	}
	return t.step("tls", start, tls.VersionName(state.Version)+", "+certificate(leaf), nil)
}

// expirySoon is when a certificate is worth a note.
const expirySoon = 14 * 24 * time.Hour
