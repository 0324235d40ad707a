package otelsetup_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/otelsetup"
)

// BenchmarkStart measures setting up with default values, beside the same from
// the parts of the SDK. Shutting down is not measured.
func BenchmarkStart(b *testing.B) {
	server := httptest.NewServer((&otlpreceiver.Store{}).Handler())
	defer server.Close()
	b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	b.Run("otelsetup", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			telemetry, err := otelsetup.Start(b.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			if err := telemetry.Shutdown(context.Background()); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
		}
	})
	b.Run("sdk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			shutdown := startPlain(b)
			b.StopTimer()
			shutdown()
			b.StartTimer()
		}
	})
}

func startPlain(b *testing.B) (shutdown func()) {
	b.Helper()
	ctx := b.Context()
	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithContainer(), resource.WithProcessPID())
	if err != nil {
		b.Fatal(err)
	}
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		b.Fatal(err)
	}
	metrics, err := otlpmetrichttp.New(ctx)
	if err != nil {
		b.Fatal(err)
	}
	logs, err := otlploghttp.New(ctx)
	if err != nil {
		b.Fatal(err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(res))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)), sdkmetric.WithResource(res))
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)), sdklog.WithResource(res))
	return func() {
		for _, end := range []func(context.Context) error{tp.Shutdown, mp.Shutdown, lp.Shutdown} {
			if err := end(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
