package export

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
)

// Spans makes an exporter of spans over HTTP. The exporters read the
// environment too; every option is given, so that only what was checked counts.
func (x *Exports) Spans(ctx context.Context, c *settings.OTLP) (sdktrace.SpanExporter, error) {
	return otlptracehttp.New(ctx,
		otlptracehttp.WithTLSClientConfig(nil), otlptracehttp.WithHTTPClient(x.client(c)),
		otlptracehttp.WithEndpointURL(c.Endpoint.String()), otlptracehttp.WithHeaders(c.Headers),
		otlptracehttp.WithTimeout(c.Timeout), otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithEncoding(otlptracehttp.EncodingProtobuf))
}

// Metrics makes an exporter of metrics over HTTP.
func (x *Exports) Metrics(ctx context.Context, c *settings.OTLP, temporality sdkmetric.TemporalitySelector, aggregation sdkmetric.AggregationSelector) (sdkmetric.Exporter, error) {
	return otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithTLSClientConfig(nil), otlpmetrichttp.WithHTTPClient(x.client(c)),
		otlpmetrichttp.WithEndpointURL(c.Endpoint.String()), otlpmetrichttp.WithHeaders(c.Headers),
		otlpmetrichttp.WithTimeout(c.Timeout), otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithTemporalitySelector(temporality), otlpmetrichttp.WithAggregationSelector(aggregation))
}

// Logs makes an exporter of log records over HTTP.
func (x *Exports) Logs(ctx context.Context, c *settings.OTLP) (sdklog.Exporter, error) {
	client := x.client(c)
	if x.resource != nil {
		client.Transport = logsOf{client.Transport, x.resource}
	}
	return otlploghttp.New(ctx,
		otlploghttp.WithTLSClientConfig(nil), otlploghttp.WithHTTPClient(client),
		otlploghttp.WithEndpointURL(c.Endpoint.String()), otlploghttp.WithHeaders(c.Headers),
		otlploghttp.WithTimeout(c.Timeout), otlploghttp.WithCompression(otlploghttp.NoCompression))
}

// client hands what an exporter made to the outbox, which sends it, as JSON or
// not, over a transport of its own. That is not [http.DefaultTransport], because
// exporting must not be traced. What waits is protobuf in either case, which can
// be divided and put together.
func (x *Exports) client(c *settings.OTLP) *http.Client {
	own := delivery.NewBase(c.TLS.Config())
	var base http.RoundTripper = own
	if x.wrap != nil {
		base = x.wrap(c.Signal, own)
	}
	asJSON := c.Protocol == settings.ProtocolJSON
	if asJSON {
		base = jsonEncoder{next: base, signal: c.Signal, gzip: c.Gzip}
	}
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	return x.outbox.client(c.Signal, c.Endpoint, delivery.Route{
		Base: base, Timeout: c.Timeout, Header: header, Gzip: c.Gzip && !asJSON,
	}, own)
}
