package extend

import (
	"context"
	"crypto/tls"
	"net/url"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Protocol makes the exporters of an OTLP protocol. Endpoints are as for OTLP
// over HTTP: a general one gets the path /v1/traces, /v1/metrics or /v1/logs.
// Those of a protocol named "grpc" have no path, and may be targets as gRPC
// spells them.
type Protocol struct {
	Traces  func(context.Context, OTLP) (sdktrace.SpanExporter, error)
	Metrics func(context.Context, OTLP) (sdkmetric.Exporter, error)
	Logs    func(context.Context, OTLP) (sdklog.Exporter, error)
}

// OTLP is how one signal is sent: what the OTEL_EXPORTER_OTLP_* variables say,
// checked. OpenTelemetry Protocol Exporter, "Configuration Options".
type OTLP struct {
	Signal      string   // "traces", "metrics" or "logs"
	Endpoint    *url.URL // of "grpc", the scheme https means TLS, and any other none
	Target      string   // of "grpc": host:4317, dns:///host:4317, unix:///run/otel.sock
	Headers     map[string]string
	Timeout     time.Duration // of one export with its retries; negative: no limit
	Gzip        bool
	TLS         *tls.Config                   // nil: the system's roots and no client certificate
	Temporality sdkmetric.TemporalitySelector // metrics only, as Aggregation
	Aggregation sdkmetric.AggregationSelector
}
