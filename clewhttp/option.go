package clewhttp

import (
	"net/http"
	"slices"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/patched"
	"github.com/clewtrace/clew/internal/redact"
)

// HandlerOption changes what [Handler] does.
type HandlerOption interface{ applyHandler(*handlerConfig) }

// TransportOption changes what [Transport] does.
type TransportOption interface{ applyTransport(*transportConfig) }

// HandlerTransportOption fits both roles.
type HandlerTransportOption interface {
	HandlerOption
	TransportOption
}

// config is what both roles have.
type config struct {
	filters    []func(*http.Request) bool
	hide       func(name string) bool
	tracers    func() trace.TracerProvider
	meters     func() metric.MeterProvider
	propagator func() propagation.TextMapPropagator
}

type handlerConfig struct {
	config
	boundary      func(http.Handler) http.Handler // of WithTrust; nil: none
	serverAddress bool
	patched       *patched.Server // of WithPatched; nil: none
}

type transportConfig struct {
	config
	boundary func(http.RoundTripper) http.RoundTripper // of WithHosts; nil: none
}

func defaults() config {
	return config{
		hide:       redact.SensitiveQuery,
		tracers:    otel.GetTracerProvider,
		meters:     otel.GetMeterProvider,
		propagator: otel.GetTextMapPropagator,
	}
}

// traced reports whether every filter wants the request.
func (c *config) traced(r *http.Request) bool {
	return !slices.ContainsFunc(c.filters, func(f func(*http.Request) bool) bool { return !f(r) })
}

type bothOption func(*config)

func (o bothOption) applyHandler(c *handlerConfig)     { o(&c.config) }
func (o bothOption) applyTransport(c *transportConfig) { o(&c.config) }

type handlerOption func(*handlerConfig)

func (o handlerOption) applyHandler(c *handlerConfig) { o(c) }

type transportOption func(*transportConfig)

func (o transportOption) applyTransport(c *transportConfig) { o(c) }

// WithFilter leaves out the requests for which trace returns false: they are
// served or sent without a span and without metrics. By default every request is
// traced; with several filters, those that all of them want. A nil function
// leaves nothing out. A health check that is left out costs nothing, but its
// callees start traces of their own.
func WithFilter(trace func(*http.Request) bool) HandlerTransportOption {
	return bothOption(func(c *config) {
		if trace != nil {
			c.filters = append(c.filters, trace)
		}
	})
}

// WithSensitiveQuery says which query parameters, and parameters in a path, are
// recorded without their values: hide gets a name, unescaped. The default, and
// what a nil function means, is [SensitiveQuery]. The credentials and the
// fragment of a URL are never recorded.
func WithSensitiveQuery(hide func(name string) bool) HandlerTransportOption {
	return bothOption(func(c *config) {
		c.hide = hide
		if hide == nil {
			c.hide = redact.SensitiveQuery
		}
	})
}

// SensitiveQuery reports whether the value of a query parameter is hidden by
// default: names such as access_token, api-key, X-Amz-Signature, client_secret,
// password, session_id and SAMLResponse, and the short forms key, sig, auth,
// jwt, sid, pass, code, otp, pin and ticket. Case and the separators "-", "_" and
// "." do not matter. See [WithSensitiveQuery].
func SensitiveQuery(name string) bool { return redact.SensitiveQuery(name) }

// WithTracerProvider makes spans with tp. By default, and if tp is nil, the
// global provider at the time of each request makes them, so that it may be set
// later.
func WithTracerProvider(tp trace.TracerProvider) HandlerTransportOption {
	return bothOption(func(c *config) {
		c.tracers = otel.GetTracerProvider
		if tp != nil {
			c.tracers = func() trace.TracerProvider { return tp }
		}
	})
}

// WithMeterProvider records metrics with mp. By default, and if mp is nil, the
// global provider at the time of each request records them, so that it may be
// set later.
func WithMeterProvider(mp metric.MeterProvider) HandlerTransportOption {
	return bothOption(func(c *config) {
		c.meters = otel.GetMeterProvider
		if mp != nil {
			c.meters = func() metric.MeterProvider { return mp }
		}
	})
}

// WithPropagator reads and writes trace context with p. By default, and if p is
// nil, the global propagator at the time of each request does, so that it may be
// set later.
func WithPropagator(p propagation.TextMapPropagator) HandlerTransportOption {
	return bothOption(func(c *config) {
		c.propagator = otel.GetTextMapPropagator
		if p != nil {
			c.propagator = func() propagation.TextMapPropagator { return p }
		}
	})
}

// WithServerAddress puts server.address and server.port on server metrics too,
// where the conventions have them as opt-in. They come from the Host of a
// request, which the caller chooses: without a proxy in front that refuses
// unknown hosts, a caller can make any number of series. Spans always have them.
func WithServerAddress() HandlerOption {
	return handlerOption(func(c *handlerConfig) { c.serverAddress = true })
}

// WithPatched is for programs that "clew go" builds: what a wrapper around the
// writer and a recovered panic would tell comes from net/http and the runtime.
// The writer that the handler is given is the server's own, and a panic is not
// logged besides what the server logs.
func WithPatched(s *patched.Server) HandlerOption {
	return handlerOption(func(c *handlerConfig) { c.patched = s })
}
