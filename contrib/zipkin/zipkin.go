// Package zipkin makes "zipkin" an entry of OTEL_TRACES_EXPORTER:
//
//	import _ "github.com/clewtrace/clew/contrib/zipkin"
//
// Spans are posted to OTEL_EXPORTER_ZIPKIN_ENDPOINT,
// http://localhost:9411/api/v2/spans by default, and a request takes at most
// OTEL_EXPORTER_ZIPKIN_TIMEOUT milliseconds, 10000 by default.
//
// OpenTelemetry has deprecated the exporter; Zipkin accepts OTLP too.
package zipkin

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/exporters/zipkin" //nolint:staticcheck // deprecated, and still a value that the specification lists
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() {
	extend.SpanExporters.Register("zipkin", func(_ context.Context, env extend.Env) (sdktrace.SpanExporter, error) {
		endpoint := env.URL("OTEL_EXPORTER_ZIPKIN_ENDPOINT")
		timeout := env.Duration("OTEL_EXPORTER_ZIPKIN_TIMEOUT")
		// Not http.DefaultTransport, because exporting must not be traced.
		client := &http.Client{Timeout: timeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}}
		made, err := zipkin.New(endpoint.String(), zipkin.WithClient(client))
		if err != nil {
			return nil, err
		}
		return exporter{made, client}, nil
	})
}

// exporter closes its connections at the end.
type exporter struct {
	*zipkin.Exporter
	client *http.Client
}

func (e exporter) Shutdown(ctx context.Context) error {
	defer e.client.CloseIdleConnections()
	return e.Exporter.Shutdown(ctx)
}
