package otelsetup

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/settings"
)

// maxPrinted bounds a line of the console exporters, before it is JSON.
const maxPrinted = 1 << 20

// printRequest prints a request to standard output, in the format of OpenTelemetry
// Protocol File Exporter: JSON, on one line.
func printRequest(signal string, r otlp.Request, request []byte) error {
	line, err := otlp.AppendJSON(nil, r, request)
	if err == nil {
		_, err = os.Stdout.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("%s: console: %w", signal, err)
	}
	return nil
}

// consoleSpans prints spans: each as it ends, or those that something in front of
// it hands over.
type consoleSpans struct{}

// ExportSpans implements [sdktrace.SpanExporter].
func (consoleSpans) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		scope := appendMessage(otlp.AppendScope(nil, s.InstrumentationScope()), 2, otlp.AppendSpan(nil, s, maxPrinted))
		resource := appendMessage(otlp.AppendResource(nil, s.Resource()), 2, scope)
		if err := printRequest(settings.SignalTraces, otlp.TraceRequest, appendMessage(nil, 1, resource)); err != nil {
			return err
		}
	}
	return nil
}

func appendMessage(b []byte, field protowire.Number, message []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

// OnEnd implements [sdktrace.SpanProcessor].
func (c consoleSpans) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		if err := c.ExportSpans(context.Background(), []sdktrace.ReadOnlySpan{s}); err != nil {
			otel.Handle(err)
		}
	}
}

func (consoleSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (consoleSpans) ForceFlush(context.Context) error                { return nil }
func (consoleSpans) Shutdown(context.Context) error                  { return nil }

// consoleMetrics prints metrics whenever they are collected.
type consoleMetrics struct{}

// Export implements [sdkmetric.Exporter].
func (consoleMetrics) Export(_ context.Context, rm *metricdata.ResourceMetrics) error {
	var late error
	err := otlp.Metrics(rm, nil, maxPrinted, func(request []byte, _ int64) {
		if err := printRequest(settings.SignalMetrics, otlp.MetricsRequest, request); err != nil {
			late = err
		}
	})
	if err != nil {
		return err
	}
	return late
}

func (consoleMetrics) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (consoleMetrics) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

func (consoleMetrics) ForceFlush(context.Context) error { return nil }
func (consoleMetrics) Shutdown(context.Context) error   { return nil }
