package clewhttp

import (
	"net/http"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/internal/boundary"
	"github.com/clewtrace/clew/internal/redact"
)

const (
	schemeHTTP  = "http"
	schemeHTTPS = "https"
)

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return schemeHTTPS
	}
	return schemeHTTP
}

// startAttributes are those that a sampler may want to see: Semantic Conventions
// 1.43.0, "HTTP server span", which names those that are provided when a span is
// created. The others wait until it is known that the span is recorded.
func (x *exchange) startAttributes(a []attribute.KeyValue) []attribute.KeyValue {
	r := x.request
	a = append(a, semconv.HTTPRequestMethodKey.String(x.method), semconv.URLScheme(scheme(r)))
	if r.URL != nil {
		if r.URL.Path != "" {
			a = append(a, semconv.URLPath(redact.Path(r.URL.Path, x.server.hide)))
		}
		if r.URL.RawQuery != "" {
			x.query = redact.Query(r.URL.RawQuery, x.server.hide)
			a = append(a, semconv.URLQuery(x.query))
		}
	}
	if host, port := splitHostPort(r.Host); host != "" {
		a = append(a, semconv.ServerAddress(host))
		if port = unusualPort(port, r.TLS != nil); port > 0 {
			a = append(a, semconv.ServerPort(port))
		}
	}
	if client := x.clientAddress(); client != "" {
		a = append(a, semconv.ClientAddress(client))
	}
	if agent := r.Header["User-Agent"]; len(agent) > 0 && agent[0] != "" {
		a = append(a, semconv.UserAgentOriginal(agent[0]))
	}
	return a
}

// clientAddress is the first address that a proxy says it has a request from,
// or the peer. The word of a caller who is not trusted is not taken.
func (x *exchange) clientAddress() string {
	peer, _ := splitHostPort(x.request.RemoteAddr)
	forwarded := x.request.Header["X-Forwarded-For"]
	if len(forwarded) == 0 {
		return peer
	}
	if _, untrusted := boundary.From(x.request.Context()); untrusted {
		return peer
	}
	first, _, _ := strings.Cut(forwarded[0], ",")
	if first = strings.TrimSpace(first); first != "" {
		return first
	}
	return peer
}

// fullURL is the URL that the client asked for, as far as the server knows. The
// conventions have it on client spans only. It is here as well because a server's
// span is read by people too, and other instrumentations record it.
func (x *exchange) fullURL() string {
	r := x.request
	if r.URL == nil || r.URL.IsAbs() { // asked of a proxy
		return redact.URL(r.URL, x.server.hide)
	}
	path := redact.Path(r.URL.EscapedPath(), x.server.hide)
	if x.query == "" {
		return scheme(r) + "://" + r.Host + path
	}
	return scheme(r) + "://" + r.Host + path + "?" + x.query
}

// endSpan adds the attributes that a recorded span has besides.
func (x *exchange) endSpan(status int, route, failure, description string) {
	r := x.request
	given := scratches.Get().(*scratch)
	a := append(given.attrs[:0], semconv.URLFull(x.fullURL()))
	if x.method == otherMethod {
		a = append(a, semconv.HTTPRequestMethodOriginal(r.Method))
	}
	if peer, port := splitHostPort(r.RemoteAddr); peer != "" {
		a = append(a, semconv.NetworkPeerAddress(peer))
		if port > 0 {
			a = append(a, semconv.NetworkPeerPort(port))
		}
	}
	if version := protocolVersion(r.ProtoMajor, r.ProtoMinor); version != "" {
		a = append(a, semconv.NetworkProtocolVersion(version))
	}
	if n := x.read.Load(); n > 0 {
		a = append(a, semconv.HTTPRequestBodySize(int(n)))
	}
	if n := x.bodySize(); n > 0 {
		a = append(a, semconv.HTTPResponseBodySize(int(n)))
	}
	if status != 0 {
		a = append(a, semconv.HTTPResponseStatusCode(status))
	}
	if route != "" {
		a = append(a, semconv.HTTPRoute(route))
		if p := x.server.patched; p == nil || !p.Named() {
			x.span.SetName(spanNames.get(methodName(x.method), route))
		}
	}
	if failure != "" {
		a = append(a, attributeErrorType(failure))
		x.span.SetStatus(codes.Error, description)
	}
	x.span.SetAttributes(a...)
	scratches.Put(given)
}

// nameCache keeps the names of spans, which are few: one for each method and
// route. It keeps a bounded number, because a program can tell any pattern.
type nameCache struct {
	mu    sync.RWMutex
	names map[[2]string]string
}

const maxNames = 4096

var spanNames = nameCache{names: map[[2]string]string{}}

func (c *nameCache) get(method, route string) string {
	key := [2]string{method, route}
	c.mu.RLock()
	name, ok := c.names[key]
	c.mu.RUnlock()
	if ok {
		return name
	}
	name = method + " " + route
	c.mu.Lock()
	if len(c.names) < maxNames {
		c.names[key] = name
	}
	c.mu.Unlock()
	return name
}
