package grpctrace_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/clewtrace/clew/otelsetup/grpctrace"
)

// A server that continues the traces of its own network, and a client of it.
func Example() {
	private := grpctrace.Networks(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"))
	server := grpc.NewServer(grpctrace.Server(grpctrace.WithTrust(private)))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()

	conn, err := grpc.NewClient(listener.Addr().String(), grpctrace.Client(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetStatus())

	if err := conn.Close(); err != nil {
		log.Fatal(err)
	}
	server.GracefulStop()
	fmt.Println(<-served)
	// Output:
	// SERVING
	// <nil>
}
