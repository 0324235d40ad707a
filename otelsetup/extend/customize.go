package extend

import (
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

// Customizers change what Start builds. Each gets what the environment asked
// for and returns what is used: the same thing wrapped, or another one. Nil
// changes nothing.
type Customizers struct {
	Sampler    func(sdktrace.Sampler) sdktrace.Sampler
	Propagator func(propagation.TextMapPropagator) propagation.TextMapPropagator
	Resource   func(*resource.Resource) *resource.Resource

	// SpanProcessor gets the processor of each exporter of spans, for example
	// to put a tail.Processor before it. With an error, the processor stays as
	// it was, and the error is a problem in the report.
	SpanProcessor func(sdktrace.SpanProcessor) (sdktrace.SpanProcessor, error)

	SpanExporter   func(sdktrace.SpanExporter) sdktrace.SpanExporter
	MetricExporter func(sdkmetric.Exporter) sdkmetric.Exporter // not of a registered reader
	LogExporter    func(sdklog.Exporter) sdklog.Exporter

	// Delivery changes how what is sent by OTLP is delivered: the queue and the
	// spool, which CLEW_DELIVERY_* set otherwise. Base and
	// Timeout follow from the OTEL_EXPORTER_OTLP_* variables and have no effect
	// here.
	Delivery func(delivery.Config) delivery.Config

	// OTLPTransport is put around what sends the requests of OTLP over HTTP,
	// for example to sign them. It is called once for each signal that is
	// exported: "traces", "metrics" and "logs".
	OTLPTransport func(signal string, next http.RoundTripper) http.RoundTripper
}
