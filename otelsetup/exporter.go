package otelsetup

import (
	"net/url"
	"strings"
)

const defaultEndpoint = "http://localhost:4318"

// endpoint returns the URL that a signal ("traces", "metrics" or "logs") is
// sent to. A signal's own variable is taken as it is, the general one gets
// the signal's path: OpenTelemetry Protocol Exporter, "Endpoint URLs for
// OTLP/HTTP".
func (e *env) endpoint(signal string) string {
	e.checkProtocol(signal)
	own := "OTEL_EXPORTER_OTLP_" + strings.ToUpper(signal) + "_ENDPOINT"
	name, v := e.value(own, "OTEL_EXPORTER_OTLP_ENDPOINT")
	path := "/v1/" + signal
	if v == "" {
		return defaultEndpoint + path
	}
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		e.problem(name, v, "must be a URL such as "+defaultEndpoint, defaultEndpoint+path)
		return defaultEndpoint + path
	}
	if name == own {
		if u.Path == "" {
			u.Path = "/"
		}
		return u.String()
	}
	return u.JoinPath(path).String()
}

// checkProtocol reports a protocol that is not supported.
func (e *env) checkProtocol(signal string) {
	const only = "http/protobuf"
	e.enum(only, []string{only}, "OTEL_EXPORTER_OTLP_"+strings.ToUpper(signal)+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
}
