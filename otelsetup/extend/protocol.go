package extend

import (
	"context"
	"crypto/tls"
	"net/url"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// Protocol makes what sends the requests of one signal, for a value of
// OTEL_EXPORTER_OTLP_PROTOCOL. Endpoints are as for OTLP over HTTP: a general one gets
// the path /v1/traces, /v1/metrics or /v1/logs. Those of a protocol named "grpc" have no
// path, and may be host:port or another target of gRPC.
type Protocol func(ctx context.Context, c OTLP) (delivery.Sender, error)

// OTLP is how one signal is sent: what the OTEL_EXPORTER_OTLP_* variables say,
// checked. OpenTelemetry Protocol Exporter, "Configuration Options".
type OTLP struct {
	Signal   string   // "traces", "metrics" or "logs"
	Endpoint *url.URL // with the scheme https if the connection uses TLS
	Target   string   // of the protocol "grpc", as gRPC spells it; empty: the host of Endpoint
	Headers  map[string]string
	Timeout  time.Duration // of one attempt, which the context of Send has; negative: no limit
	Gzip     bool
	TLS      *tls.Config // nil: the system's roots and no client certificate
}
