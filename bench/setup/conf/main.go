// Conf sets telemetry up with otelconf, from the file that OTEL_CONFIG_FILE
// names.
package main

import (
	"context"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/contrib/otelconf"
	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/bench/setup/run"
)

func main() { run.Main(setUp) }

// begin set-up
func setUp(ctx context.Context) (shutdown func(context.Context) error, err error) {
	sdk, err := otelconf.NewSDK(otelconf.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	otel.SetTracerProvider(sdk.TracerProvider())
	otel.SetMeterProvider(sdk.MeterProvider())
	otel.SetLoggerProvider(sdk.LoggerProvider())
	otel.SetTextMapPropagator(sdk.Propagator())
	slog.SetDefault(otelslog.NewLogger("conf"))
	http.DefaultTransport = otelhttp.NewTransport(http.DefaultTransport)
	if err := runtime.Start(); err != nil {
		return nil, err
	}
	return sdk.Shutdown, nil
}

// end set-up
