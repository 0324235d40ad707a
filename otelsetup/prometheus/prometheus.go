// Package prometheus makes "prometheus" an entry of OTEL_METRICS_EXPORTER:
//
//	import _ "github.com/clewtrace/clew/otelsetup/prometheus"
//
// The metrics are served at /metrics on OTEL_EXPORTER_PROMETHEUS_HOST,
// localhost by default, and OTEL_EXPORTER_PROMETHEUS_PORT, 9464 by default. A
// port of 0 takes a free one.
package prometheus

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() { extend.MetricReaders.Register("prometheus", newReader) }

// readHeaderTimeout bounds how long a client may keep a connection busy before
// it has asked for anything.
const readHeaderTimeout = 10 * time.Second

func newReader(ctx context.Context, env extend.Env) (sdkmetric.Reader, error) {
	host := env.Text("OTEL_EXPORTER_PROMETHEUS_HOST")
	port := env.Number("OTEL_EXPORTER_PROMETHEUS_PORT")
	// A registry of its own: nothing is left behind when telemetry starts again.
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry, EnableOpenMetrics: true}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			otel.Handle(err)
		}
	}()
	env.OnShutdown(func(context.Context) error {
		err := server.Close()
		<-served
		return err
	})
	return exporter, nil
}
