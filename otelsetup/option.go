package otelsetup

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/redact"
	early "github.com/clewtrace/clew/internal/slog"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/internal/sdkbatch"
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
	given            []Setting // the options, for the report
}

func newConfig(opts []Option) *config {
	c := &config{printer: newPrinter(), defaultTransport: true}
	for _, o := range opts {
		if o != nil {
			o.apply(c)
		}
	}
	return c
}

// option is what the report says of an option, and what it does.
type option struct {
	name, value string
	set         func(*config)
}

func (o option) apply(c *config) {
	o.set(c)
	c.given = append(c.given, Setting{Name: o.name, Value: o.value, Source: "code"})
}

func (o option) applyMain(c *mainConfig) { c.start = append(c.start, o) }

// WithLogHandler sets the handler that prints log records. The default is a
// [slog.TextHandler] on standard error. The ids of the span are added to each
// record before the handler gets it. Records that the handler is not enabled for
// are not exported either, unless CLEW_LOG_EXPORT_LEVEL says which are. The
// handler may be that of [slog.Default], or lead to it. Nil leaves the default.
func WithLogHandler(h slog.Handler) Option {
	return option{"WithLogHandler", "", func(c *config) {
		if h != nil {
			c.printer, _ = early.Own(h)
		}
	}}
}

// WithResourceAttributes adds attributes to the resource, for example
// semconv.ServiceName("checkout"). They win over OTEL_SERVICE_NAME and
// OTEL_RESOURCE_ATTRIBUTES.
func WithResourceAttributes(attrs ...attribute.KeyValue) Option {
	return option{"WithResourceAttributes", shownAttributes(attrs), func(c *config) { c.attributes = append(c.attributes, attrs...) }}
}

// shownAttributes is what the report says of attributes.
func shownAttributes(attrs []attribute.KeyValue) string {
	pairs := make([]string, len(attrs))
	for i, a := range attrs {
		pairs[i] = redact.Text(string(a.Key) + "=" + a.Value.String())
	}
	return strings.Join(pairs, ",")
}

// WithSpanProcessor adds a span processor in front of the exporting ones. Nil
// adds none.
func WithSpanProcessor(p sdktrace.SpanProcessor) Option {
	return option{"WithSpanProcessor", fmt.Sprintf("%T", p), func(c *config) {
		if p != nil {
			c.processors = append(c.processors, p)
		}
	}}
}

// WithTransportOptions says how requests over [http.DefaultTransport] are
// traced, for example with [clewhttp.WithHosts].
func WithTransportOptions(opts ...clewhttp.TransportOption) Option {
	return option{"WithTransportOptions", strconv.Itoa(len(opts)), func(c *config) { c.transport = append(c.transport, opts...) }}
}

// WithoutDefaultTransport leaves [http.DefaultTransport] as it is: only clients
// that use [clewhttp.Transport] are traced then.
func WithoutDefaultTransport() Option {
	return option{"WithoutDefaultTransport", "", func(c *config) { c.defaultTransport = false }}
}

// Customize changes or replaces parts that the environment asked for. Given
// several times, all apply in the order given.
func Customize(by extend.Customizers) Option {
	return option{"Customize", customized(by), func(c *config) {
		c.custom = append(c.custom, by)
		sdkbatch.Link() // for exporters that are wrapped
	}}
}

// customized names the parts that are changed.
func customized(by extend.Customizers) string {
	var changed []string
	for name, given := range map[string]bool{
		"Sampler": by.Sampler != nil, "Propagator": by.Propagator != nil, "Resource": by.Resource != nil, "SpanProcessor": by.SpanProcessor != nil,
		"SpanExporter": by.SpanExporter != nil, "MetricExporter": by.MetricExporter != nil, "LogExporter": by.LogExporter != nil,
		"Delivery": by.Delivery != nil, "OTLPTransport": by.OTLPTransport != nil,
	} {
		if given {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	return strings.Join(changed, ",")
}
