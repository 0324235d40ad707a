package otlpgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

// printing is a collector that prints the names of spans.
type printing struct {
	coltrace.UnimplementedTraceServiceServer
}

func (printing) Export(_ context.Context, r *coltrace.ExportTraceServiceRequest) (*coltrace.ExportTraceServiceResponse, error) {
	fmt.Println(r.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName())
	return &coltrace.ExportTraceServiceResponse{}, nil
}

// With otelsetup the import is enough. A program that makes its own providers has a
// Route with the Sender.
func ExampleNew() {
	ctx := context.Background()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "localhost:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := grpc.NewServer()
	coltrace.RegisterTraceServiceServer(server, printing{})
	go server.Serve(listener) //nolint:errcheck // ends with Stop
	defer server.Stop()

	sender, err := otlpgrpc.New(ctx, extend.OTLP{Target: "dns:///" + listener.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport, err := delivery.New(delivery.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(
		transport.SpanProcessor(delivery.Route{Sender: sender}, delivery.Batch{})))

	_, span := provider.Tracer("example").Start(ctx, "work")
	span.End()
	if err := errors.Join(provider.Shutdown(ctx), transport.Shutdown(ctx)); err != nil {
		fmt.Println(err)
	}
	// Output:
	// work
}
