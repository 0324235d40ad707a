package interop_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"

	"go.opencensus.io/plugin/ocgrpc"
	octrace "go.opencensus.io/trace"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	expotel "google.golang.org/grpc/experimental/opentelemetry"
	"google.golang.org/grpc/health/grpc_health_v1"
	grpcotel "google.golang.org/grpc/stats/opentelemetry"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/tracecontext"
)

// call is what a gRPC client sends its request with: the span that is active
// there, and what the request came with.
type call struct {
	parent  tracecontext.Traceparent
	state   string
	baggage string
}

// seen is what a gRPC server finds in the context of a request.
type seen struct {
	traceID, spanID, parentID string
	flags                     tracecontext.Flags
	state, baggage            string
}

// grpcLibrary is a tracing library for gRPC.
type grpcLibrary struct {
	dial  grpc.DialOption
	serve grpc.ServerOption
	// context returns a context in which the span of the call is active.
	context func(context.Context, call) context.Context
	view    func(context.Context) seen
	// sent returns the ids of the spans of the calls so far.
	sent func() []string
	// parent waits for the end of a server span and returns its parent. It is
	// nil where view has it already.
	parent func(spanID string) string
}

// openTelemetry is a library that records with our SDK.
func (h *house) openTelemetry(dial grpc.DialOption, serve grpc.ServerOption) grpcLibrary {
	ours := propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{})
	return grpcLibrary{
		dial: dial, serve: serve,
		context: func(ctx context.Context, c call) context.Context {
			return ours.Extract(ctx, propagation.MapCarrier{
				"traceparent": c.parent.String(), "tracestate": c.state, "baggage": c.baggage,
			})
		},
		view: func(ctx context.Context) seen {
			sent := propagation.MapCarrier{}
			ours.Inject(ctx, sent)
			s := spanContextSeen(trace.SpanContextFromContext(ctx))
			s.state, s.baggage = sent["tracestate"], baggage.FromContext(ctx).String()
			if span, ok := trace.SpanFromContext(ctx).(sdktrace.ReadOnlySpan); ok {
				s.parentID = span.Parent().SpanID().String()
			}
			return s
		},
		sent: func() (ids []string) {
			_ = h.telemetry.ForceFlush(context.Background()) // what is missing fails the test
			for _, s := range h.store.Spans() {
				if s.GetKind() != tracepb.Span_SPAN_KIND_SERVER { // the plugin has one per attempt besides
					ids = append(ids, hexID(s.GetSpanId()))
				}
			}
			return ids
		},
	}
}

func spanContextSeen(sc trace.SpanContext) seen {
	return seen{traceID: sc.TraceID().String(), flags: tracecontext.Flags(sc.TraceFlags())}
}

// otelgrpcWith is the instrumentation of OpenTelemetry.
func (h *house) otelgrpcWith(p ...propagation.TextMapPropagator) grpcLibrary {
	opt := otelgrpc.WithPropagators(propagation.NewCompositeTextMapPropagator(p...))
	return h.openTelemetry(
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(opt)), grpc.StatsHandler(otelgrpc.NewServerHandler(opt)))
}

// grpcPlugin is the instrumentation that comes with gRPC.
func (h *house) grpcPlugin(p propagation.TextMapPropagator) grpcLibrary {
	opts := grpcotel.Options{TraceOptions: expotel.TraceOptions{TracerProvider: h.telemetry.TracerProvider(), TextMapPropagator: p}}
	return h.openTelemetry(grpcotel.DialOption(opts), grpcotel.ServerOption(opts))
}

func openCensusGRPC(t *testing.T) grpcLibrary {
	t.Helper()
	var ended parents
	octrace.RegisterExporter(&ended)
	t.Cleanup(func() { octrace.UnregisterExporter(&ended) })
	return grpcLibrary{
		dial:  grpc.WithStatsHandler(&ocgrpc.ClientHandler{StartOptions: octrace.StartOptions{Sampler: parentOrAlways}}),
		serve: grpc.StatsHandler(&ocgrpc.ServerHandler{StartOptions: octrace.StartOptions{Sampler: parentOrAlways}}),
		context: func(ctx context.Context, c call) context.Context {
			ctx, _ = octrace.StartSpanWithRemoteParent(ctx, "caller", octrace.SpanContext{
				TraceID: c.parent.TraceID(), SpanID: c.parent.ParentID(), TraceOptions: octrace.TraceOptions(c.parent.Flags()),
			}, octrace.WithSampler(parentOrAlways))
			return ctx
		},
		view: func(ctx context.Context) seen {
			sc := octrace.FromContext(ctx).SpanContext()
			return seen{traceID: sc.TraceID.String(), spanID: sc.SpanID.String(), flags: tracecontext.Flags(sc.TraceOptions)}
		},
		sent: func() (ids []string) {
			ended.Range(func(id, _ any) bool {
				ids = append(ids, fmt.Sprint(id))
				return true
			})
			return ids
		},
		parent: func(spanID string) (id string) {
			eventually(t, func() bool {
				v, ok := ended.Load(spanID)
				id, _ = v.(string)
				return ok
			})
			return id
		},
	}
}

// healthServer is the service that is called; it comes with gRPC.
type healthServer struct {
	grpc_health_v1.UnimplementedHealthServer
	view func(context.Context) seen
	got  chan seen
}

func (s healthServer) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.got <- s.view(ctx)
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

// callGRPC calls a server with one library from a client with another.
func callGRPC(t *testing.T, client, server grpcLibrary) outcome {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := healthServer{view: server.view, got: make(chan seen, 1)}
	s := grpc.NewServer(server.serve)
	grpc_health_v1.RegisterHealthServer(s, service)
	go func() { _ = s.Serve(listener) }() // ends with Stop
	defer s.Stop()
	conn, err := grpc.NewClient(listener.Addr().String(), client.dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing was left to send

	request := func(sampled bool, state string) (call, seen) {
		c := call{tracecontext.NewTraceparent().WithSampled(sampled), state, ourBaggage}
		_, err := grpc_health_v1.NewHealthClient(conn).Check(client.context(t.Context(), c), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		got := <-service.got
		t.Logf("sent %+v, got %+v", c, got)
		return c, got
	}
	sent, got := request(true, ourState)
	unsampled, other := request(false, levelTwo)
	if server.parent != nil {
		got.parentID = server.parent(got.spanID)
	}
	id, otherID := sent.parent.TraceID(), unsampled.parent.TraceID()
	return outcome{
		traceID:       got.traceID == hexID(id[:]) && other.traceID == hexID(otherID[:]),
		parentID:      slices.Contains(client.sent(), got.parentID),
		sampledFlag:   got.flags&tracecontext.FlagSampled != 0 && other.flags&tracecontext.FlagSampled == 0,
		randomFlag:    got.flags&tracecontext.FlagRandom != 0,
		traceState:    got.state == ourState,
		levelTwoKeys:  other.state == levelTwo,
		baggageHeader: got.baggage == ourBaggage,
	}.ofTrace()
}

// Why things are lost over gRPC.
const (
	binaryCarries = "`grpc-trace-bin` has ids and flags, no more."
	stockKeys     = "The stock propagator of OpenTelemetry Go knows keys of Level 1 only: it drops a tracestate that has another one, " +
		"and has none to write. So since v0.20.0 at the latest, up to v1.47.0."
)

func TestGRPC(t *testing.T) {
	h := newHouse(t)
	tb := newTable(t, "grpc")
	text := h.otelgrpcWith(propagator.New(), propagation.Baggage{})
	binary := h.otelgrpcWith(propagator.New(), propagation.Baggage{}, grpcotel.GRPCTraceBinPropagator{})
	stock := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	const grpcModule, otelgrpcModule = "google.golang.org/grpc", "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	onlyBinary := all(binaryCarries, traceState, levelTwoKeys, baggageHeader)
	for _, test := range []struct {
		who, module  string
		ours, theirs grpcLibrary
		there, back  losses
	}{
		{"otelgrpc, ours on both sides, text", otelgrpcModule, text, text, nil, nil},
		{
			"otelgrpc, stock propagators, text", otelgrpcModule, text, h.otelgrpcWith(stock),
			losses{levelTwoKeys: stockKeys}, losses{levelTwoKeys: stockKeys},
		},
		{
			"gRPC's plugin, stock propagators, text", grpcModule, text, h.grpcPlugin(stock),
			losses{levelTwoKeys: stockKeys}, losses{levelTwoKeys: stockKeys},
		},
		{
			"gRPC's plugin, `grpc-trace-bin`; ours with it too", grpcModule, binary, h.grpcPlugin(grpcotel.GRPCTraceBinPropagator{}),
			onlyBinary, onlyBinary,
		},
		{
			"OpenCensus, `grpc-trace-bin`; ours with it too", "go.opencensus.io", binary, openCensusGRPC(t),
			onlyBinary, onlyBinary,
		},
	} {
		t.Run(test.who, func(t *testing.T) {
			version := moduleVersion(t, test.module)
			tb.add(t, test.who, version, "ours → theirs", callGRPC(t, test.ours, test.theirs), test.there)
			tb.add(t, test.who, version, "theirs → ours", callGRPC(t, test.theirs, test.ours), test.back)
		})
	}
}
