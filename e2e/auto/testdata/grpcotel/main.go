// Command grpcotel instruments its gRPC by otelgrpc. With the argument "sdk" it
// installs an SDK, which prints its spans.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	pb "google.golang.org/grpc/interop/grpc_testing"
)

type service struct {
	pb.UnimplementedTestServiceServer
}

func (service) EmptyCall(ctx context.Context, _ *pb.Empty) (*pb.Empty, error) {
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("program.attribute", "on the server's span"))
	_, span := otel.Tracer("program").Start(ctx, "inner")
	span.End()
	return &pb.Empty{}, nil
}

type printer struct{}

func (printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Println(s.SpanKind(), s.Name())
	}
	return nil
}
func (printer) Shutdown(context.Context) error { return nil }

func main() {
	if os.Args[1] == "sdk" {
		otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{})))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(serverOption())
	pb.RegisterTestServiceServer(srv, service{})
	go srv.Serve(l)
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), clientOption())
	if err != nil {
		log.Fatal(err)
	}
	_, err = pb.NewTestServiceClient(conn).EmptyCall(context.Background(), &pb.Empty{})
	fmt.Println(err)
	srv.GracefulStop()
}
