package otelsetup

import (
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/delivery"
)

// Option changes what [Start] sets up. An option wins over the environment.
type Option interface{ apply(*config) }

type config struct {
	printer          slog.Handler
	attributes       []attribute.KeyValue
	processors       []sdktrace.SpanProcessor
	defaultTransport bool
	transport        []clewhttp.TransportOption // of http.DefaultTransport
	otlpTransport    func(signal string, next http.RoundTripper) http.RoundTripper
	tallies          []*tally
	outbox           *outbox // nil until an exporter needs it

	sampler        []func(sdktrace.Sampler) sdktrace.Sampler
	propagator     []func(propagation.TextMapPropagator) propagation.TextMapPropagator
	resource       []func(*resource.Resource) *resource.Resource
	spanProcessor  []func(sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error)
	spanExporter   []func(sdktrace.SpanExporter) sdktrace.SpanExporter
	metricExporter []func(sdkmetric.Exporter) sdkmetric.Exporter
	logExporter    []func(sdklog.Exporter) sdklog.Exporter
	delivery       []func(delivery.Config) delivery.Config
}

// customized applies what a program wants changed, in the order given.
func customized[T any](v T, by []func(T) T) T {
	for _, f := range by {
		v = f(v)
	}
	return v
}

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithLogHandler sets the handler that prints log records. The default is a
// [slog.TextHandler] on standard error. The ids of the span are added to each
// record before the handler gets it.
func WithLogHandler(h slog.Handler) Option {
	return option(func(c *config) { c.printer = h })
}

// WithResourceAttributes adds attributes to the resource, for example
// semconv.ServiceName("checkout"). They win over OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES.
func WithResourceAttributes(attrs ...attribute.KeyValue) Option {
	return option(func(c *config) { c.attributes = append(c.attributes, attrs...) })
}

// WithSpanProcessor adds a span processor in front of the exporting ones.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return option(func(c *config) { c.processors = append(c.processors, p) })
}

// WithTransportOptions says how requests over [http.DefaultTransport] are
// traced, for example with [clewhttp.WithHosts].
func WithTransportOptions(opts ...clewhttp.TransportOption) Option {
	return option(func(c *config) { c.transport = append(c.transport, opts...) })
}

// WithoutDefaultTransport leaves [http.DefaultTransport] as it is: only
// clients that use [clewhttp.Transport] are traced then.
func WithoutDefaultTransport() Option {
	return option(func(c *config) { c.defaultTransport = false })
}

// WithOTLPTransport puts something around what sends the requests of the
// OTLP exporters over HTTP, for example to sign them. It is called once for
// each signal that is exported: "traces", "metrics" and "logs".
func WithOTLPTransport(wrap func(signal string, next http.RoundTripper) http.RoundTripper) Option {
	return option(func(c *config) { c.otlpTransport = wrap })
}

// The Customize options get what the environment asked for and return what is
// used: the same thing wrapped, or another one. They are called by [Start], in
// the order given.

// CustomizeSampler changes or replaces the sampler.
func CustomizeSampler(f func(sdktrace.Sampler) sdktrace.Sampler) Option {
	return option(func(c *config) { c.sampler = append(c.sampler, f) })
}

// CustomizePropagator changes or replaces the propagator.
func CustomizePropagator(f func(propagation.TextMapPropagator) propagation.TextMapPropagator) Option {
	return option(func(c *config) { c.propagator = append(c.propagator, f) })
}

// CustomizeResource changes or replaces the resource.
func CustomizeResource(f func(*resource.Resource) *resource.Resource) Option {
	return option(func(c *config) { c.resource = append(c.resource, f) })
}

// CustomizeSpanProcessor changes or replaces the span processor of each
// exporter of spans, for example to put a tail.Processor before it. If f returns
// an error, so does [Start], and the processor stays as it was.
func CustomizeSpanProcessor(f func(sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error)) Option {
	return option(func(c *config) { c.spanProcessor = append(c.spanProcessor, f) })
}

// CustomizeSpanExporter changes or replaces each exporter of spans.
func CustomizeSpanExporter(f func(sdktrace.SpanExporter) sdktrace.SpanExporter) Option {
	return option(func(c *config) { c.spanExporter = append(c.spanExporter, f) })
}

// CustomizeMetricExporter changes or replaces each exporter of metrics. A
// reader that was registered with [RegisterMetricReader] has none.
func CustomizeMetricExporter(f func(sdkmetric.Exporter) sdkmetric.Exporter) Option {
	return option(func(c *config) { c.metricExporter = append(c.metricExporter, f) })
}

// CustomizeLogExporter changes or replaces each exporter of log records.
func CustomizeLogExporter(f func(sdklog.Exporter) sdklog.Exporter) Option {
	return option(func(c *config) { c.logExporter = append(c.logExporter, f) })
}

// CustomizeDelivery changes how the exporters of OTLP over HTTP deliver: the
// queue and the spool, which CLEW_DELIVERY_* set otherwise. Base and Timeout
// follow from the OTEL_EXPORTER_OTLP_* variables and have no effect here.
func CustomizeDelivery(f func(delivery.Config) delivery.Config) Option {
	return option(func(c *config) { c.delivery = append(c.delivery, f) })
}
