//go:build !race

package otelsetup_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// TestRecordingAllocatesNothing compares instruments and loggers that outlive
// their SDK with the SDK's own.
func TestRecordingAllocatesNothing(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	plain := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	defer plain.Shutdown(context.Background()) //nolint:errcheck // a test
	plainLogs := sdklog.NewLoggerProvider()
	t.Setenv("OTEL_LOGS_EXPORTER", "none")
	_, telemetry, _ := start(t)
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("route", "/"), attribute.Int("status", 200)))
	ctx := t.Context()
	allocations := func(meters metric.MeterProvider, loggers log.LoggerProvider) (record, add, emit float64) {
		histogram, err := meters.Meter("alloc").Float64Histogram("alloc.histogram")
		if err != nil {
			t.Fatal(err)
		}
		counter, err := meters.Meter("alloc").Int64Counter("alloc.counter")
		if err != nil {
			t.Fatal(err)
		}
		logger := loggers.Logger("alloc")
		record = testing.AllocsPerRun(100, func() { histogram.Record(ctx, 0.1, set) })
		add = testing.AllocsPerRun(100, func() { counter.Add(ctx, 1, set) })
		var r log.Record
		emit = testing.AllocsPerRun(100, func() {
			logger.Emit(ctx, r)
			logger.Enabled(ctx, log.EnabledParameters{Severity: log.SeverityDebug})
		})
		return record, add, emit
	}
	ownRecord, ownAdd, ownEmit := allocations(telemetry.MeterProvider(), telemetry.LoggerProvider())
	sdkRecord, sdkAdd, sdkEmit := allocations(plain, plainLogs)
	if ownRecord > sdkRecord || ownAdd > sdkAdd || ownEmit > sdkEmit {
		t.Errorf("Record %v, Add %v, Emit %v; the SDK's %v, %v and %v", ownRecord, ownAdd, ownEmit, sdkRecord, sdkAdd, sdkEmit)
	}
}
