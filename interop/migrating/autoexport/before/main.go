// Command before sets the SDK up with autoexport and autoprop.
package main

import (
	"context"
	"errors"
	"log"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// begin
func main() {
	ctx := context.Background()
	spans, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		log.Fatal(err)
	}
	metrics, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		log.Fatal(err)
	}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(metrics))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())

	work(ctx)

	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx)); err != nil {
		log.Print(err)
	}
}

// end

func work(ctx context.Context) {
	_, span := otel.Tracer("migrating").Start(ctx, "work")
	span.End()
}
