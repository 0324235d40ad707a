// Conf sets telemetry up with otelconf, from the file that OTEL_CONFIG_FILE
// names.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/contrib/otelconf"
	"go.opentelemetry.io/otel"
)

func main() {
	ctx := context.Background()
	begin := time.Now()
	shutdown, err := setUp(ctx)
	took := time.Since(begin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(took.Nanoseconds())
	shutdown(ctx) //nolint:errcheck // nothing was recorded
}

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
