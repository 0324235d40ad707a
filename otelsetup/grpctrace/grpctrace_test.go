package grpctrace_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/grpctrace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service keeps what the context of a call holds.
type service struct {
	*health.Server
	got context.Context
}

func (s *service) Check(ctx context.Context, r *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	s.got = ctx
	return s.Server.Check(ctx, r)
}

// startTelemetry keeps the spans here.
func startTelemetry(t *testing.T) *tracetest.InMemoryExporter {
	t.Helper()
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		t.Setenv("OTEL_"+signal+"_EXPORTER", "none")
	}
	spans := tracetest.NewInMemoryExporter()
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(spans)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := telemetry.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return spans
}

// call makes one call over a connection, and returns the context that the
// service was called with.
func call(ctx context.Context, t *testing.T, server grpc.ServerOption, client grpc.DialOption) context.Context {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, called := grpc.NewServer(server), &service{Server: health.NewServer()}
	grpc_health_v1.RegisterHealthServer(s, called)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()), client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	s.GracefulStop() // the server spans have ended when it returns
	if err := <-served; err != nil {
		t.Error(err)
	}
	return called.got
}

// caller has a span and baggage.
func caller(t *testing.T) (context.Context, trace.Span) {
	t.Helper()
	bag, err := baggage.Parse("user=alice")
	if err != nil {
		t.Fatal(err)
	}
	return otel.Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), "caller")
}

func serverSpan(t *testing.T, spans *tracetest.InMemoryExporter) tracetest.SpanStub {
	t.Helper()
	for _, s := range spans.GetSpans() {
		if s.SpanKind == trace.SpanKindServer {
			return s
		}
	}
	t.Fatal("there is no server span")
	return tracetest.SpanStub{}
}

func TestTrust(t *testing.T) {
	loopback, elsewhere := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")
	for _, test := range []struct {
		rule    string
		opts    []grpctrace.ServerOption
		trusted bool
	}{
		{"every caller by default", nil, true},
		{"from the network", []grpctrace.ServerOption{grpctrace.WithTrust(grpctrace.Networks(elsewhere, loopback))}, true},
		{"from another network", []grpctrace.ServerOption{grpctrace.WithTrust(grpctrace.Networks(elsewhere))}, false},
		{"nobody, by nil", []grpctrace.ServerOption{grpctrace.WithTrust(nil)}, false},
		{"nobody", []grpctrace.ServerOption{grpctrace.WithTrust(func(context.Context) bool { return false })}, false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			spans := startTelemetry(t)
			ctx, span := caller(t)
			got := call(ctx, t, grpctrace.Server(test.opts...), grpctrace.Client())
			span.End()
			server := serverSpan(t, spans)
			if same := server.SpanContext.TraceID() == span.SpanContext().TraceID(); same != test.trusted {
				t.Errorf("the trace is continued: %v, want %v", same, test.trusted)
			}
			if linked := len(server.Links) == 1 && server.Links[0].SpanContext.TraceID() == span.SpanContext().TraceID(); linked == test.trusted {
				t.Errorf("links %v, want one to the caller: %v", server.Links, !test.trusted)
			}
			if has := baggage.FromContext(got).Len() == 1; has != test.trusted {
				t.Errorf("baggage %q, want it: %v", baggage.FromContext(got), test.trusted)
			}
			md, _ := metadata.FromIncomingContext(got)
			if has := len(md.Get("traceparent"))+len(md.Get("baggage")) == 2; has != test.trusted {
				t.Errorf("metadata %v, want trace context in it: %v", md, test.trusted)
			}
		})
	}
}

func TestWithoutContext(t *testing.T) {
	spans := startTelemetry(t)
	ctx, span := caller(t)
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", "x-other", "1")
	got := call(ctx, t, grpctrace.Server(), grpctrace.Client(grpctrace.WithoutContext()))
	span.End()
	if md, _ := metadata.FromIncomingContext(got); len(md.Get("traceparent"))+len(md.Get("baggage")) > 0 || len(md.Get("x-other")) != 1 {
		t.Errorf("sent %v", md)
	}
	if n := len(spans.GetSpans()); n != 3 {
		t.Errorf("%d spans, want those of the caller, the client and the server", n)
	}
}

// TestTracestateInTwoEntries sends what a proxy may have split.
func TestTracestateInTwoEntries(t *testing.T) {
	spans := startTelemetry(t)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", "tracestate", "a=1", "tracestate", "b=2")
	// No client handler: it would send a trace context of its own.
	call(ctx, t, grpctrace.Server(), grpc.WithUserAgent("test"))
	if got := serverSpan(t, spans).Parent.TraceState().String(); got != "a=1,b=2" {
		t.Errorf("tracestate %q, want both entries", got)
	}
}

func TestFilters(t *testing.T) {
	method := func(want bool) func(string) bool {
		return func(fullMethod string) bool { return want || fullMethod != "/grpc.health.v1.Health/Check" }
	}
	for _, test := range []struct {
		rule   string
		opts   []grpctrace.Option
		traced bool
	}{
		{"none", nil, true},
		{"nil", []grpctrace.Option{grpctrace.WithFilter(nil)}, true},
		{"health checks", []grpctrace.Option{grpctrace.WithoutHealthChecks()}, false},
		{"the method", []grpctrace.Option{grpctrace.WithFilter(method(false))}, false},
		{"one of two", []grpctrace.Option{grpctrace.WithFilter(method(false)), grpctrace.WithFilter(method(true))}, false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			spans := startTelemetry(t)
			var server []grpctrace.ServerOption
			var client []grpctrace.ClientOption
			for _, o := range test.opts {
				server, client = append(server, o), append(client, o)
			}
			call(t.Context(), t, grpctrace.Server(server...), grpctrace.Client(client...))
			if n := len(spans.GetSpans()); (n == 2) != test.traced || n != 0 && n != 2 {
				t.Errorf("%d spans, traced: want %v", n, test.traced)
			}
		})
	}
}
