package main

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
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

func grpcProcessor(ctx context.Context, cfg serverConfig) (sdktrace.SpanProcessor, error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(cfg.sink))
	if err != nil {
		return nil, err
	}
	return sdktrace.NewBatchSpanProcessor(exporter), nil
}
