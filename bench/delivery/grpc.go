package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// grpcSink is the sink over gRPC. It knows the faults that gRPC has.
type grpcSink struct {
	coltracepb.UnimplementedTraceServiceServer
	*sink
}

func (s grpcSink) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	s.mu.Lock()
	fault, changed, latency := s.fault, s.changed, s.latency
	s.mu.Unlock()
	switch fault {
	case "black hole":
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return nil, status.Error(codes.Unavailable, "restarted")
	case "503":
		return nil, status.Error(codes.Unavailable, "overloaded")
	}
	time.Sleep(latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, span := range ss.Spans {
				s.count(span.SpanId)
			}
		}
	}
	return new(coltracepb.ExportTraceServiceResponse), nil
}

// What docs/delivery.md advises for gRPC: the exporter repeats a batch for
// longer than any outage that is to be survived, each attempt is bounded, the
// connection comes back soon, and what ends until then finds room in the queue.
const (
	grpcOutage  = 2 * time.Minute
	grpcAttempt = 10 * time.Second
	grpcQueue   = 80_000
)

func grpcProcessor(ctx context.Context, cfg serverConfig) (sdktrace.SpanProcessor, error) {
	opts := []otlptracegrpc.Option{otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(cfg.sink)}
	var batch []sdktrace.BatchSpanProcessorOption
	if cfg.kind == "grpc+" {
		opts = append(opts,
			otlptracegrpc.WithTimeout(grpcOutage),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: 5 * time.Second, MaxElapsedTime: grpcOutage}),
			otlptracegrpc.WithDialOption(
				grpc.WithChainUnaryInterceptor(boundedAttempt),
				grpc.WithConnectParams(grpc.ConnectParams{
					Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 2, Jitter: 0.2, MaxDelay: 5 * time.Second},
					MinConnectTimeout: 5 * time.Second,
				})))
		batch = append(batch,
			sdktrace.WithMaxQueueSize(grpcQueue),
			sdktrace.WithMaxExportBatchSize(2048),
			sdktrace.WithBatchTimeout(time.Second),
			sdktrace.WithExportTimeout(grpcOutage))
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return sdktrace.NewBatchSpanProcessor(exporter, batch...), nil
}

// boundedAttempt gives up on an answer after a while, so that the exporter can
// try again: its own timeout is for all attempts together.
func boundedAttempt(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(ctx, grpcAttempt)
	defer cancel()
	return invoke(ctx, method, req, reply, conn, opts...)
}
