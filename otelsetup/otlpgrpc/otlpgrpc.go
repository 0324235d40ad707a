// Package otlpgrpc makes "grpc" a value of OTEL_EXPORTER_OTLP_PROTOCOL:
//
//	import _ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
//
// The endpoint is http://localhost:4317 by default. Its scheme decides whether
// the connection uses TLS. It may also be a target as gRPC spells it, such as
// host:4317, dns:///host:4317 or unix:///run/otel.sock: TLS is used then unless
// OTEL_EXPORTER_OTLP_INSECURE is true, over a unix socket only if that is false.
package otlpgrpc

import (
	"context"
	"crypto/tls"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"

	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() {
	extend.Protocols.Register("grpc", extend.Protocol{
		Traces: func(ctx context.Context, c extend.OTLP) (sdktrace.SpanExporter, error) {
			conn, err := dial(c)
			if err != nil {
				return nil, err
			}
			exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithGRPCConn(conn),
				otlptracegrpc.WithHeaders(c.Headers), otlptracegrpc.WithTimeout(c.Timeout))
			return spanExporter{exporter, conn}, err
		},
		Metrics: func(ctx context.Context, c extend.OTLP) (sdkmetric.Exporter, error) {
			conn, err := dial(c)
			if err != nil {
				return nil, err
			}
			exporter, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithGRPCConn(conn),
				otlpmetricgrpc.WithHeaders(c.Headers), otlpmetricgrpc.WithTimeout(c.Timeout),
				otlpmetricgrpc.WithTemporalitySelector(c.Temporality), otlpmetricgrpc.WithAggregationSelector(c.Aggregation))
			return metricExporter{exporter, conn}, err
		},
		Logs: func(ctx context.Context, c extend.OTLP) (sdklog.Exporter, error) {
			conn, err := dial(c)
			if err != nil {
				return nil, err
			}
			exporter, err := otlploggrpc.New(ctx, otlploggrpc.WithGRPCConn(conn),
				otlploggrpc.WithHeaders(c.Headers), otlploggrpc.WithTimeout(c.Timeout))
			return logExporter{exporter, conn}, err
		},
	})
}

// dial makes the connection of one signal. The exporters would make their own,
// and read the environment once more for it.
func dial(c extend.OTLP) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if c.Endpoint.Scheme == "https" {
		config := c.TLS
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		transport = credentials.NewTLS(config)
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if c.Gzip {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor(gzip.Name)))
	}
	return grpc.NewClient(c.Target, opts...)
}

// The exporters do not close a connection that they were given.

type spanExporter struct {
	sdktrace.SpanExporter
	conn *grpc.ClientConn
}

func (e spanExporter) Shutdown(ctx context.Context) error {
	defer e.conn.Close() //nolint:errcheck // it says only that it was closed before
	return e.SpanExporter.Shutdown(ctx)
}

type metricExporter struct {
	sdkmetric.Exporter
	conn *grpc.ClientConn
}

func (e metricExporter) Shutdown(ctx context.Context) error {
	defer e.conn.Close() //nolint:errcheck // it says only that it was closed before
	return e.Exporter.Shutdown(ctx)
}

type logExporter struct {
	sdklog.Exporter
	conn *grpc.ClientConn
}

func (e logExporter) Shutdown(ctx context.Context) error {
	defer e.conn.Close() //nolint:errcheck // it says only that it was closed before
	return e.Exporter.Shutdown(ctx)
}
