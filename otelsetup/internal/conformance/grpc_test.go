package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // to accept it
	"google.golang.org/grpc/stats"
	"google.golang.org/protobuf/proto"
)

// serveGRPC serves the collector over gRPC, with the certificate of server if
// it has one, and on a unix socket too. It returns the address.
func (c *collector) serveGRPC(t *testing.T, server *httptest.Server, socket string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := []grpc.ServerOption{grpc.StatsHandler(headerWatcher{c})}
	if server.TLS != nil {
		opts = append(opts, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: server.TLS.Certificates, MinVersion: tls.VersionTLS12})))
	}
	s := grpc.NewServer(opts...)
	coltrace.RegisterTraceServiceServer(s, traceService{c: c})
	colmetrics.RegisterMetricsServiceServer(s, metricsService{c: c})
	collogs.RegisterLogsServiceServer(s, logsService{c: c})
	local, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	for _, l := range []net.Listener{listener, local} {
		served.Go(func() {
			if err := s.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { s.Stop(); served.Wait() })
	return listener.Addr().String()
}

// add hands a message to the part of the collector that speaks HTTP.
func (c *collector) add(path string, m proto.Message) error {
	body, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/x-protobuf")
	c.Handler().ServeHTTP(httptest.NewRecorder(), r)
	return nil
}

type traceService struct {
	coltrace.UnimplementedTraceServiceServer
	c *collector
}

func (s traceService) Export(_ context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	return &coltrace.ExportTraceServiceResponse{}, s.c.add(traces, r)
}

type metricsService struct {
	colmetrics.UnimplementedMetricsServiceServer
	c *collector
}

func (s metricsService) Export(_ context.Context, r *colmetrics.ExportMetricsServiceRequest) (*colmetrics.ExportMetricsServiceResponse, error) {
	return &colmetrics.ExportMetricsServiceResponse{}, s.c.add(metrics, r)
}

type logsService struct {
	collogs.UnimplementedLogsServiceServer
	c *collector
}

func (s logsService) Export(_ context.Context, r *collogs.ExportLogsServiceRequest) (*collogs.ExportLogsServiceResponse, error) {
	return &collogs.ExportLogsServiceResponse{}, s.c.add(logs, r)
}

// headerWatcher notes each call as if it were a request over HTTP/1.
type headerWatcher struct{ c *collector }

var grpcPaths = map[string]string{
	coltrace.TraceService_Export_FullMethodName:     traces,
	colmetrics.MetricsService_Export_FullMethodName: metrics,
	collogs.LogsService_Export_FullMethodName:       logs,
}

func (h headerWatcher) HandleRPC(_ context.Context, s stats.RPCStats) {
	in, ok := s.(*stats.InHeader)
	if !ok {
		return
	}
	header := http.Header{"Content-Type": {"application/grpc"}, "Grpc-Encoding": {in.Compression}}
	for name, values := range in.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.requests = append(h.c.requests, request{path: grpcPaths[in.FullMethod], header: header})
}

func (headerWatcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (headerWatcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (headerWatcher) HandleConn(context.Context, stats.ConnStats)                       {}
