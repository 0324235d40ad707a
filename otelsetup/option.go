package otelsetup

import (
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup/extend"
)

// Option changes what [Start] and [Main] set up. An option wins over the
// environment.
type Option interface {
	MainOption
	apply(c *config)
}

type config struct {
	printer          slog.Handler
	attributes       []attribute.KeyValue
	processors       []sdktrace.SpanProcessor
	defaultTransport bool
	transport        []clewhttp.TransportOption // of http.DefaultTransport
	custom           []extend.Customizers
	given            []string // the names of the options, for the report
}

func newConfig(opts []Option) *config {
	c := &config{printer: newPrinter(), defaultTransport: true}
	for _, o := range opts {
		o.apply(c)
	}
	return c
}

// option is a name for the report and what it does.
type option struct {
	name string
	set  func(*config)
}

func (o option) apply(c *config) {
	o.set(c)
	c.given = append(c.given, o.name)
}

func (o option) applyMain(c *mainConfig) { c.start = append(c.start, o) }

// WithLogHandler sets the handler that prints log records. The default is a
// [slog.TextHandler] on standard error. The ids of the span are added to each
// record before the handler gets it. Nil leaves the default.
func WithLogHandler(h slog.Handler) Option {
	return option{"WithLogHandler", func(c *config) {
		if h != nil {
			c.printer = h
		}
	}}
}

// WithResourceAttributes adds attributes to the resource, for example
// semconv.ServiceName("checkout"). They win over OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES.
func WithResourceAttributes(attrs ...attribute.KeyValue) Option {
	return option{fmt.Sprintf("WithResourceAttributes(%d)", len(attrs)), func(c *config) { c.attributes = append(c.attributes, attrs...) }}
}

// WithSpanProcessor adds a span processor in front of the exporting ones. Nil
// adds none.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return option{"WithSpanProcessor", func(c *config) {
		if p != nil {
			c.processors = append(c.processors, p)
		}
	}}
}

// WithTransportOptions says how requests over [http.DefaultTransport] are
// traced, for example with [clewhttp.WithHosts].
func WithTransportOptions(opts ...clewhttp.TransportOption) Option {
	return option{"WithTransportOptions", func(c *config) { c.transport = append(c.transport, opts...) }}
}

// WithoutDefaultTransport leaves [http.DefaultTransport] as it is: only clients
// that use [clewhttp.Transport] are traced then.
func WithoutDefaultTransport() Option {
	return option{"WithoutDefaultTransport", func(c *config) { c.defaultTransport = false }}
}

// Customize changes or replaces parts that the environment asked for. Given
// several times, all apply in the order given.
func Customize(by extend.Customizers) Option {
	return option{"Customize", func(c *config) { c.custom = append(c.custom, by) }}
}
