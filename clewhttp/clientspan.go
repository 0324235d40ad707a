package clewhttp

import (
	"net/http"
	"net/url"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/internal/redact"
)

// serverOf returns the address and the port that a URL leads to. The
// conventions require the port, also where the scheme implies it: Semantic
// Conventions 1.43.0, "HTTP client span", server.port.
func serverOf(u *url.URL) (host string, port int) {
	host, port = splitHostPort(u.Host)
	if port == 0 {
		switch u.Scheme {
		case schemeHTTP:
			port = 80
		case schemeHTTPS:
			port = 443
		}
	}
	return host, port
}

// startAttributes are those that a sampler may want to see: Semantic Conventions
// 1.43.0, "HTTP client span", which names those that are provided when a span is
// created.
func (c *call) startAttributes(a []attribute.KeyValue) []attribute.KeyValue {
	a = append(a, semconv.HTTPRequestMethodKey.String(c.method), semconv.URLFull(redact.URL(c.request.URL, c.transport.hide)))
	if c.host != "" {
		a = append(a, semconv.ServerAddress(c.host))
	}
	if c.port > 0 {
		a = append(a, semconv.ServerPort(c.port))
	}
	return a
}

// resendCount is how many requests led to r. [http.Client] keeps the response
// that caused a redirect with it, and whoever retries can do the same. Nothing
// else tells a retry from another request.
func resendCount(r *http.Request) int {
	n := 0
	for resp := r.Response; resp != nil && n < maxResends; n++ {
		if resp.Request == nil {
			return n + 1
		}
		resp = resp.Request.Response
	}
	return n
}

// maxResends bounds the walk along them.
const maxResends = 1000

// answered records how the request ended, as far as the header of the response.
func (c *call) answered(resp *http.Response, err error) {
	status, protocol, failure, description := 0, "", "", ""
	switch {
	case err != nil:
		failure, description = errorType(err), redact.Text(err.Error())
	case resp == nil:
		failure = otherError
	default:
		status, protocol = resp.StatusCode, protocolVersion(resp.ProtoMajor, resp.ProtoMinor)
		if text := statusText(status); text == "" {
			failure, description = otherError, invalidStatus(status)
		} else if status >= 400 {
			failure = text
		}
	}
	if c.recording {
		u, given := c.request.URL, scratches.Get().(*scratch)
		a := append(given.attrs[:0], semconv.URLScheme(u.Scheme), semconv.URLPath(redact.Path(u.Path, c.transport.hide)))
		if c.method == otherMethod {
			a = append(a, semconv.HTTPRequestMethodOriginal(c.request.Method))
		}
		if n := resendCount(c.request); n > 0 {
			a = append(a, semconv.HTTPRequestResendCount(n))
		}
		if status != 0 {
			a = append(a, semconv.HTTPResponseStatusCode(status))
		}
		if protocol != "" {
			a = append(a, semconv.NetworkProtocolVersion(protocol))
		}
		if failure != "" {
			a = append(a, attributeErrorType(failure))
			c.span.SetStatus(codes.Error, description)
		}
		c.span.SetAttributes(a...)
		scratches.Put(given)
	}
	c.transport.metrics.record(c, status, protocol, failure)
}
