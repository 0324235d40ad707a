package clewhttp

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// clientMetrics are those of Semantic Conventions 1.43.0, "HTTP client metrics".
type clientMetrics struct {
	instruments meters[clientInstruments]
	series      seriesCache[clientSeries]
}

type clientInstruments struct {
	duration    metric.Float64Histogram
	requestSize metric.Int64Histogram
}

// clientSeries is what tells the series of a client apart.
type clientSeries struct {
	method, host, scheme, protocol, failure string
	port, status                            int
}

func newClientMetrics(provider func() metric.MeterProvider) *clientMetrics {
	return &clientMetrics{instruments: meters[clientInstruments]{provider: provider, build: func(m metric.Meter) *clientInstruments {
		return &clientInstruments{
			duration:    durationHistogram(m, "http.client.request.duration", "Duration of HTTP client requests."),
			requestSize: sizeHistogram(m, "http.client.request.body.size", "Size of HTTP client request bodies."),
		}
	}}}
}

func (m *clientMetrics) record(c *call, status int, protocol, failure string) {
	i := m.instruments.get()
	if !enabled(c.ctx, i.duration) {
		return
	}
	if statusText(status) == "" {
		status = 0 // not a status of HTTP
	}
	options := m.series.get(clientSeries{
		method: c.method, host: c.host, port: c.port, scheme: c.request.URL.Scheme,
		protocol: protocol, status: status, failure: failure,
	}, clientSeries.attributes)
	i.duration.Record(c.ctx, time.Since(c.began).Seconds(), options...)
	// A body of unknown length is not counted: something would have to stand
	// between it and net/http, which looks at the types of bodies.
	if r := c.request; r.Body != nil && r.Body != http.NoBody && r.ContentLength > 0 {
		i.requestSize.Record(c.ctx, r.ContentLength, options...)
	}
}

func (s clientSeries) attributes() []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 7)
	a = append(a, semconv.HTTPRequestMethodKey.String(s.method))
	if s.host != "" {
		a = append(a, semconv.ServerAddress(s.host))
	}
	if s.port > 0 {
		a = append(a, semconv.ServerPort(s.port))
	}
	if s.scheme != "" {
		a = append(a, semconv.URLScheme(s.scheme))
	}
	if s.protocol != "" {
		a = append(a, semconv.NetworkProtocolVersion(s.protocol))
	}
	if s.status != 0 {
		a = append(a, semconv.HTTPResponseStatusCode(s.status))
	}
	if s.failure != "" {
		a = append(a, attributeErrorType(s.failure))
	}
	return a
}
