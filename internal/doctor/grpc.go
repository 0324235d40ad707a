package doctor

import (
	"context"
	"crypto/tls"
	"strings"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// methods are the calls of OTLP/gRPC.
var methods = map[string]string{
	signalTraces:  coltrace.TraceService_Export_FullMethodName,
	signalMetrics: colmetrics.MetricsService_Export_FullMethodName,
	signalLogs:    collogs.LogsService_Export_FullMethodName,
}

func (s send) overGRPC(ctx context.Context, request, answer proto.Message) (detail string, wrong *Problem) {
	transport := insecure.NewCredentials()
	if s.Endpoint.Scheme == "https" {
		config := s.TLS
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		transport = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(s.Target, grpc.WithTransportCredentials(transport), grpc.WithUserAgent("clew-doctor"))
	if err != nil {
		return "failed", s.problem(err.Error(), "correct "+s.variable("ENDPOINT"))
	}
	defer conn.Close() //nolint:errcheck // it says only that it was closed before
	headers := metadata.MD{}
	for name, value := range s.Headers {
		headers.Set(name, value)
	}
	var opts []grpc.CallOption
	if s.Gzip {
		opts = append(opts, grpc.UseCompressor(gzip.Name))
	}
	err = conn.Invoke(metadata.NewOutgoingContext(ctx, headers), methods[s.Signal], request, answer, opts...)
	detail = "gRPC " + status.Code(err).String()
	if err != nil {
		return detail, s.refusedGRPC(ctx, err)
	}
	return detail, s.partial(answer)
}

// refusedGRPC explains a code that is not OK.
func (s send) refusedGRPC(ctx context.Context, err error) *Problem {
	code, said := status.Code(err), s.masked(status.Convert(err).Message())
	what := code.String() + ` "` + said + `"`
	switch {
	case strings.Contains(said, "HTTP status code") || strings.Contains(said, "unexpected content-type") || strings.Contains(said, "missing selected ALPN"):
		return s.problem(what+": the port speaks HTTP, not gRPC", s.switchToHTTP())
	case code == codes.Unimplemented:
		return s.problem(what+": the receiver does not take "+s.Signal, "send them to one that does, or set OTEL_"+strings.ToUpper(s.Signal)+"_EXPORTER=none")
	case code == codes.Unauthenticated || code == codes.PermissionDenied:
		if len(s.Headers) == 0 {
			return s.problem(what+": the receiver wants credentials, and none are sent", "set "+s.variable("HEADERS")+", for example to authorization=Bearer%20<token>")
		}
		return s.problem(what+": the credentials are not accepted", "correct "+s.variable("HEADERS")+"; values are percent-encoded, a space is %20")
	case code == codes.Unavailable || code == codes.DeadlineExceeded:
		return s.unanswered(ctx, err)
	case code == codes.ResourceExhausted:
		return s.problem(what+": the receiver is overloaded or at a limit", "look at its log and limits, or try again later")
	default:
		return s.problem(what, "do what the receiver says, or look at its log")
	}
}
