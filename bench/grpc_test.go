package main

import (
	"context"
	"net"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

// untrusted marks the context of every call before the handler it wraps extracts.
type untrusted struct{ stats.Handler }

func (u untrusted) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	return u.Handler.TagRPC(trust.Untrusted(ctx), info)
}

// TestGRPC passes trace context through otelgrpc, whose carrier has Get, Set
// and Keys only.
func TestGRPC(t *testing.T) {
	p := trust.Propagator(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{}))
	spans := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	instrumented := []otelgrpc.Option{otelgrpc.WithTracerProvider(tp), otelgrpc.WithPropagators(p)}
	for name, wrap := range map[string]func(stats.Handler) stats.Handler{
		"trusted":   func(h stats.Handler) stats.Handler { return h },
		"untrusted": func(h stats.Handler) stats.Handler { return untrusted{h} },
	} {
		t.Run(name, func(t *testing.T) {
			spans.Reset()
			var got context.Context
			server := grpc.NewServer(grpc.StatsHandler(wrap(otelgrpc.NewServerHandler(instrumented...))),
				grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
					got = ctx
					return h(ctx, req)
				}))
			healthpb.RegisterHealthServer(server, health.NewServer())
			listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = server.Serve(listener) }()
			defer server.Stop()
			conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithStatsHandler(otelgrpc.NewClientHandler(instrumented...)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()

			incoming := http.Header{"Traceparent": {parent}, "Tracestate": {"1a=x,foo=1"}, "Baggage": {"user=alice"}}
			ctx := p.Extract(t.Context(), propagation.HeaderCarrier(incoming))
			if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
				t.Fatal(err)
			}
			server.GracefulStop()

			sent := propagation.MapCarrier{}
			p.Inject(got, sent)
			sameTrace := trace.SpanContextFromContext(got).TraceID() == trace.SpanContextFromContext(ctx).TraceID()
			user := baggage.FromContext(got).Member("user").Value()
			if name == "trusted" {
				if !sameTrace || sent["tracestate"] != "1a=x,foo=1" || user != "alice" {
					t.Errorf("same trace: %t, sent on %v, user %q", sameTrace, sent, user)
				}
				if len(spans.Ended()) != 2 {
					t.Errorf("%d spans", len(spans.Ended()))
				}
				return
			}
			if sameTrace || sent["tracestate"] != "" || user != "" {
				t.Errorf("untrusted: same trace: %t, sent on %v, user %q", sameTrace, sent, user)
			}
			if caller := trust.Caller(got); caller.TraceID() != trace.SpanContextFromContext(ctx).TraceID() {
				t.Errorf("the caller is not kept: %v", caller)
			}
		})
	}
}
