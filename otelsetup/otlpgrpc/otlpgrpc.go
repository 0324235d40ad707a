// Package otlpgrpc makes "grpc" a value of OTEL_EXPORTER_OTLP_PROTOCOL:
//
//	import _ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
//
// The endpoint is http://localhost:4317 by default. Its scheme decides whether
// the connection uses TLS; without one, OTEL_EXPORTER_OTLP_INSECURE does. It may also be
// a target of gRPC, such as unix:///run/collector.sock or dns:///collector:4317.
//
// What is exported waits in the queue of package delivery, as it does over HTTP, so an
// outage of the collector loses as little. The three signals share a connection if they
// go to the same target. A connection whose other end is gone without a word is replaced
// within 15 s.
//
// The import links gRPC, which registers the handlers /debug/requests and /debug/events
// with [net/http.DefaultServeMux]. A build with the tag grpcnotrace does without them.
package otlpgrpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/otelsetup/extend"
)

func init() { extend.Protocols.Register("grpc", New) }

// New returns a Sender of requests over gRPC, for the [delivery.Route] of a program that
// does without otelsetup. It connects when it sends the first one. Senders whose target
// and TLS configuration are the same share their connection, until the last of them is
// closed. The error says which header or target gRPC does not take.
func New(_ context.Context, c extend.OTLP) (delivery.Sender, error) {
	if c.Target == "" && c.Endpoint == nil {
		return nil, errors.New("otlpgrpc: neither a target nor an endpoint")
	}
	header, err := outgoing(c.Headers)
	if err != nil {
		return nil, err
	}
	at := address{target: target(c), secure: c.Endpoint != nil && c.Endpoint.Scheme == "https"}
	if at.secure {
		at.tls = c.TLS
	}
	to, err := join(at)
	if err != nil {
		return nil, err
	}
	s := &sender{to: to, header: header, sent: redact.SentIn(http.Header(header), nil)}
	if c.Gzip {
		s.options = append(s.options, grpc.UseCompressor(gzip.Name))
	}
	return s, nil
}

// methods are those of the three services that take export requests.
var methods = map[delivery.Signal]string{
	delivery.Traces:  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	delivery.Metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	delivery.Logs:    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

// sender sends the requests of one signal.
type sender struct {
	to      *connection
	header  metadata.MD
	sent    redact.Sent // what an answer may repeat of header
	options []grpc.CallOption
	leave   sync.Once
}

// Send implements [delivery.Sender].
func (s *sender) Send(ctx context.Context, signal delivery.Signal, request []byte) ([]byte, error) {
	link, err := s.to.acquire()
	if err != nil {
		return nil, err
	}
	var response []byte
	var server peer.Peer // stays empty if there was no connection
	options := append([]grpc.CallOption{grpc.ForceCodecV2(encoded{}), grpc.Peer(&server)}, s.options...)
	err = link.conn.Invoke(metadata.NewOutgoingContext(ctx, s.header), methods[signal], request, &response, options...)
	connected := server.Addr != nil
	s.to.release(link, err != nil && (!connected || ctx.Err() != nil))
	if err != nil {
		return nil, sendError(ctx, s.sent, err, connected)
	}
	s.sent.Hide(response)
	return response, nil
}

// Close implements [delivery.Sender].
func (s *sender) Close() error {
	s.leave.Do(s.to.leave)
	return nil
}

// encoded is the codec of messages that are encoded already.
type encoded struct{}

// Name makes the content type application/grpc, without the name of an encoding, as
// the stubs of OTLP send it.
func (encoded) Name() string { return "" }

func (encoded) Marshal(v any) (mem.BufferSlice, error) {
	request, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not an encoded message", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(request)}, nil
}

func (encoded) Unmarshal(data mem.BufferSlice, v any) error {
	response, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T cannot hold an encoded message", v)
	}
	*response = data.Materialize()
	return nil
}

// outgoing returns headers as metadata, whose names are in lower case. gRPC would refuse
// each call with one that it cannot send.
func outgoing(headers map[string]string) (metadata.MD, error) {
	const accepted = "0123456789abcdefghijklmnopqrstuvwxyz-_." // gRPC over HTTP2, "Requests", Header-Name
	var errs []error
	header := metadata.MD{}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		key, value := strings.ToLower(name), headers[name]
		switch {
		case key == "" || strings.Trim(key, accepted) != "":
			errs = append(errs, fmt.Errorf("header %q: gRPC takes names of letters, digits, '-', '_' and '.'", name))
		case !strings.HasSuffix(key, "-bin") && strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			errs = append(errs, fmt.Errorf("header %q: gRPC takes values of printable ASCII, and others if the name ends in -bin", name))
		default:
			header.Append(key, value)
		}
	}
	return header, errors.Join(errs...)
}
