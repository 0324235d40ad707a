package clewhttp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// serverMetrics are those of Semantic Conventions 1.43.0, "HTTP server metrics".
type serverMetrics struct {
	instruments meters[serverInstruments]
	series      seriesCache[serverSeries]
}

type serverInstruments struct {
	duration     metric.Float64Histogram
	requestSize  metric.Int64Histogram
	responseSize metric.Int64Histogram
}

// serverSeries is what tells the series of a server apart. Callers cannot make
// more than a bounded number, unless there is an address.
type serverSeries struct {
	method, scheme, protocol, route, failure string
	status                                   int
	address                                  string
	port                                     int
}

func newServerMetrics(provider func() metric.MeterProvider) *serverMetrics {
	return &serverMetrics{instruments: meters[serverInstruments]{provider: provider, build: func(m metric.Meter) *serverInstruments {
		return &serverInstruments{
			duration:     durationHistogram(m, "http.server.request.duration", "Duration of HTTP server requests."),
			requestSize:  sizeHistogram(m, "http.server.request.body.size", "Size of HTTP server request bodies."),
			responseSize: sizeHistogram(m, "http.server.response.body.size", "Size of HTTP server response bodies."),
		}
	}}}
}

func (m *serverMetrics) record(x *exchange, status int, route, failure string) {
	i := m.instruments.get()
	if !enabled(x.ctx, i.duration) {
		return
	}
	r := x.request
	if statusText(status) == "" {
		status = 0 // not a status of HTTP, of which there are 500
	}
	key := serverSeries{
		method: x.method, scheme: scheme(r), protocol: protocolVersion(r.ProtoMajor, r.ProtoMinor),
		route: route, status: status, failure: failure,
	}
	if x.server.serverAddress {
		key.address, key.port = splitHostPort(r.Host)
		key.port = unusualPort(key.port, r.TLS != nil)
	}
	options := m.series.get(key, serverSeries.attributes)
	i.duration.Record(x.ctx, time.Since(x.began).Seconds(), options...)
	if x.body != nil { // without one there is no size
		i.requestSize.Record(x.ctx, x.read.Load(), options...)
	}
	i.responseSize.Record(x.ctx, x.bodySize(), options...)
}

func (s serverSeries) attributes() []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 8)
	a = append(a, semconv.HTTPRequestMethodKey.String(s.method), semconv.URLScheme(s.scheme))
	if s.protocol != "" {
		a = append(a, semconv.NetworkProtocolVersion(s.protocol))
	}
	if s.route != "" {
		a = append(a, semconv.HTTPRoute(s.route))
	}
	if s.status != 0 {
		a = append(a, semconv.HTTPResponseStatusCode(s.status))
	}
	if s.failure != "" {
		a = append(a, attributeErrorType(s.failure))
	}
	if s.address != "" {
		a = append(a, semconv.ServerAddress(s.address))
	}
	if s.port > 0 {
		a = append(a, semconv.ServerPort(s.port))
	}
	return a
}
