package otlpreceiver

import (
	"context"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // senders may compress
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// GRPCServer returns a server for OTLP/gRPC that is ready to Serve. The caller
// stops it. Options are for what the receiver does not decide, such as TLS.
func GRPCServer(sink Sink, opts ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(opts,
		grpc.MaxRecvMsgSize(MaxBody),
		grpc.MaxConcurrentStreams(2*decoding),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(protocodec.Name), make(chan struct{}, decoding)}),
	)...)
	coltrace.RegisterTraceServiceServer(server, traceService{sink: sink})
	collogs.RegisterLogsServiceServer(server, logsService{sink: sink})
	colmetrics.RegisterMetricsServiceServer(server, metricsService{sink: sink})
	return server
}

// codec decodes requests as OTLP/HTTP does, with the same limits.
type codec struct {
	encoding.CodecV2
	slots chan struct{}
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	b := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer b.Free()
	return unmarshalBinary(b.ReadOnlyData(), v.(proto.Message))
}

type traceService struct {
	coltrace.UnimplementedTraceServiceServer
	sink Sink
}

func (s traceService) Export(_ context.Context, req *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	return acceptTraces(s.sink, req), nil
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	sink Sink
}

func (s logsService) Export(_ context.Context, req *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	return acceptLogs(s.sink, req), nil
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
	sink Sink
}

func (s metricsService) Export(_ context.Context, req *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	s.sink.AddMetrics(req)
	return &colmetrics.ExportMetricsServiceResponse{}, nil
}
