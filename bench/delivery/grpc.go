package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// grpcSink is the sink of spans over gRPC.
type grpcSink struct {
	coltracepb.UnimplementedTraceServiceServer
	*sink
}

func (s grpcSink) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if err := s.spoilCall(ctx); err != nil {
		return nil, err
	}
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

// grpcLogSink is the sink of log records over gRPC.
type grpcLogSink struct {
	collogspb.UnimplementedLogsServiceServer
	*sink
}

func (s grpcLogSink) Export(ctx context.Context, req *collogspb.ExportLogsServiceRequest) (*collogspb.ExportLogsServiceResponse, error) {
	if err := s.spoilCall(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rl := range req.ResourceLogs {
		for _, sl := range rl.ScopeLogs {
			for _, record := range sl.LogRecords {
				s.count([]byte(record.Body.GetStringValue()))
			}
		}
	}
	return new(collogspb.ExportLogsServiceResponse), nil
}

// spoilCall does to a call what the fault is. It knows the faults that gRPC has.
func (s *sink) spoilCall(ctx context.Context) error {
	s.mu.Lock()
	fault, changed, latency := s.fault, s.changed, s.latency
	s.mu.Unlock()
	switch fault {
	case "black hole":
		select {
		case <-changed:
		case <-ctx.Done():
		}
		return status.Error(codes.Unavailable, "restarted")
	case "503":
		return status.Error(codes.Unavailable, "overloaded")
	}
	time.Sleep(latency)
	return nil
}

func grpcProcessor(ctx context.Context, cfg serverConfig) (sdktrace.SpanProcessor, error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(cfg.sink))
	if err != nil {
		return nil, err
	}
	return sdktrace.NewBatchSpanProcessor(exporter), nil
}
