package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// grpcSink is the sink of spans over gRPC.
type grpcSink struct {
	coltracepb.UnimplementedTraceServiceServer
	*sink
}

func (s grpcSink) Export(_ context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, span := range ss.Spans {
				s.count(span.SpanId)
			}
		}
	}
	return new(coltracepb.ExportTraceServiceResponse), nil
}

// grpcLogSink is the sink of log records over gRPC.
type grpcLogSink struct {
	collogspb.UnimplementedLogsServiceServer
	*sink
}

func (s grpcLogSink) Export(_ context.Context, req *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	for _, rl := range req.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			for _, record := range sl.LogRecords {
				s.count([]byte(record.Body.GetStringValue()))
			}
		}
	}
	return new(collogspb.ExportLogsServiceResponse), nil
}

// answer is around the services: it does to a call what the fault is, of those that
// gRPC has, and holds the lock while one is counted.
func (s *sink) answer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, count grpc.UnaryHandler) (any, error) {
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
	return count(ctx, req)
}

func grpcProcessor(ctx context.Context, cfg serverConfig) (sdktrace.SpanProcessor, error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(cfg.sink))
	if err != nil {
		return nil, err
	}
	return sdktrace.NewBatchSpanProcessor(exporter), nil
}
