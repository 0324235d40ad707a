// Command grpc is a gRPC service and its client. The service is the one that
// comes with gRPC, health checking, so that nothing has to be generated; it is
// traced like any other.
//
//	OTEL_SERVICE_NAME=server go run ./grpc
//	OTEL_SERVICE_NAME=client go run ./grpc -call localhost:9000
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/grpctrace"
)

var tracer = otel.Tracer("grpc")

func main() {
	addr := flag.String("addr", "localhost:9000", "`address` to listen on")
	call := flag.String("call", "", "`address` to call, instead of listening")
	service := flag.String("service", "", "`name` of the service whose health is asked for; empty means the whole server")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		if *call != "" {
			return check(ctx, *call, *service)
		}
		return serve(ctx, *addr)
	})
}

// checker logs what it is asked. The server span is in ctx.
type checker struct{ *health.Server }

// Check implements [grpc_health_v1.HealthServer].
func (c checker) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	slog.InfoContext(ctx, "checking", slog.String("service", r.GetService()))
	return c.Server.Check(ctx, r)
}

// serve traces by a stats handler, which sees streams from the first to the last
// byte; an interceptor does not. It continues the trace of every caller. A service
// that the internet reaches should have the option grpctrace.WithTrust.
func serve(ctx context.Context, addr string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpctrace.Server())
	grpc_health_v1.RegisterHealthServer(server, checker{health.NewServer()})
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	slog.Info("Listening on grpc://" + listener.Addr().String() + "/")

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		// GracefulStop waits for calls without end; Stop has it return.
		defer time.AfterFunc(time.Second, server.Stop).Stop()
		server.GracefulStop()
		return nil
	}
}

func check(ctx context.Context, addr, service string) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpctrace.Client())
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the call is over
	ctx, span := tracer.Start(ctx, "check")
	defer span.End()
	resp, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		return err
	}
	slog.InfoContext(ctx, "checked", slog.String("status", resp.GetStatus().String()))
	return nil
}
