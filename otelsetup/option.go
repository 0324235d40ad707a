package otelsetup

import (
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Option changes what [Start] sets up. An option wins over the environment.
type Option interface{ apply(*config) }

type config struct {
	printer          slog.Handler
	attributes       []attribute.KeyValue
	processors       []sdktrace.SpanProcessor
	defaultTransport bool
	http             []HTTPOption // for the default transport
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

// WithoutDefaultTransport leaves [http.DefaultTransport] as it is: only
// clients that use [Transport] are traced then.
func WithoutDefaultTransport() Option {
	return option(func(c *config) { c.defaultTransport = false })
}
