// Package grpctrace traces gRPC servers and clients: ready-made options around
// [go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc].
//
//	server := grpc.NewServer(grpctrace.Server())
//	conn, err := grpc.NewClient(target, grpctrace.Client(), ...)
//
// A call makes a client and a server span, and the RPC metrics. Names of
// metadata are lower-case, as gRPC sends all of them. A tracestate in several entries
// is read as one list, where otelgrpc alone reads the first entry.
package grpctrace

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/clewtrace/clew/internal/boundary"
	"github.com/clewtrace/clew/propagator/trust"
)

// ServerOption changes what [Server] does.
type ServerOption interface{ applyServer(*config) }

// ClientOption changes what [Client] does.
type ClientOption interface{ applyClient(*config) }

// Option changes what [Server] or [Client] does.
type Option interface {
	ServerOption
	ClientOption
}

type config struct {
	guarded  bool // whether trusted decides; otherwise every caller is trusted
	trusted  func(context.Context) bool
	withhold bool
	filters  []func(fullMethod string) bool
	otelgrpc []otelgrpc.Option
}

type serverOption func(*config)

func (o serverOption) applyServer(c *config) { o(c) }

type clientOption func(*config)

func (o clientOption) applyClient(c *config) { o(c) }

type option func(*config)

func (o option) applyServer(c *config) { o(c) }
func (o option) applyClient(c *config) { o(c) }

// WithTrust makes [Server] a trust boundary. It continues the traces of the calls
// that trusted accepts, whose context has the peer ([peer.FromContext]) and the
// metadata ([metadata.FromIncomingContext]). Another call starts a new trace, linked
// to what the caller sent, and its metadata is without trace context and baggage.
//
// A nil function trusts nobody. Without this option every caller is trusted, which is
// wrong for a service that the internet reaches.
func WithTrust(trusted func(ctx context.Context) bool) ServerOption {
	return serverOption(func(c *config) { c.guarded, c.trusted = true, trusted })
}

// Networks trusts calls whose peer has an address in one of the networks. The peer is
// whoever opened the connection: behind a proxy, the proxy.
func Networks(networks ...netip.Prefix) func(ctx context.Context) bool {
	return func(ctx context.Context) bool {
		caller, ok := peer.FromContext(ctx)
		if !ok {
			return false
		}
		tcp, ok := caller.Addr.(*net.TCPAddr)
		if !ok {
			return false
		}
		addr := tcp.AddrPort().Addr().Unmap().WithZone("")
		for _, network := range networks {
			if network.Contains(addr) {
				return true
			}
		}
		return false
	}
}

// WithoutContext keeps trace ids and baggage from what [Client] calls, a service of
// somebody else for example. Metadata that carries them is removed, whoever set it.
// The client span is recorded as before.
func WithoutContext() ClientOption { return clientOption(func(c *config) { c.withhold = true }) }

// WithFilter leaves out the calls for which trace returns false. They get no span and
// no metrics. trace gets the full name of the method, "/package.Service/Method". A nil
// function leaves out nothing. If there are several filters, a call that one of them
// leaves out is left out.
func WithFilter(trace func(fullMethod string) bool) Option {
	return option(func(c *config) {
		if trace != nil {
			c.filters = append(c.filters, trace)
		}
	})
}

// WithoutHealthChecks leaves out the calls of the health service of gRPC, which
// orchestrators and balancers make all the time.
func WithoutHealthChecks() Option {
	return WithFilter(func(fullMethod string) bool { return !strings.HasPrefix(fullMethod, "/grpc.health.v1.Health/") })
}

// WithInstrumentation passes options on to otelgrpc. They come after those that this
// package sets, so [otelgrpc.WithFilter] takes the place of [WithFilter].
func WithInstrumentation(opts ...otelgrpc.Option) Option {
	return option(func(c *config) { c.otelgrpc = append(c.otelgrpc, opts...) })
}

// instrumentation returns the options for otelgrpc.
func (c *config) instrumentation(p propagation.TextMapPropagator) []otelgrpc.Option {
	opts := []otelgrpc.Option{otelgrpc.WithPropagators(p)}
	if filters := c.filters; len(filters) > 0 {
		opts = append(opts, otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
			for _, trace := range filters {
				if !trace(info.FullMethodName) {
					return false
				}
			}
			return true
		}))
	}
	return append(opts, c.otelgrpc...)
}

// Server traces the calls that a server answers. It uses the global providers and
// propagator, which may be set later.
func Server(opts ...ServerOption) grpc.ServerOption {
	var c config
	for _, o := range opts {
		o.applyServer(&c)
	}
	h := otelgrpc.NewServerHandler(c.instrumentation(received{trust.Propagator(otel.GetTextMapPropagator())})...)
	if c.guarded {
		h = trustBoundary{h, c.trusted}
	}
	return grpc.StatsHandler(h)
}

// Client traces the calls over a connection. It uses the global providers and
// propagator, which may be set later.
func Client(opts ...ClientOption) grpc.DialOption {
	var c config
	for _, o := range opts {
		o.applyClient(&c)
	}
	if !c.withhold {
		return grpc.WithStatsHandler(otelgrpc.NewClientHandler(c.instrumentation(otel.GetTextMapPropagator())...))
	}
	nothing := propagation.NewCompositeTextMapPropagator()
	return grpc.WithStatsHandler(withholding{otelgrpc.NewClientHandler(c.instrumentation(nothing)...)})
}

// withholding removes trace context and baggage from the metadata of calls.
type withholding struct{ stats.Handler }

func (w withholding) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if md, ok := metadata.FromOutgoingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, boundary.WithoutContext(md))
	}
	return w.Handler.TagRPC(ctx, info)
}

// received reads the metadata of a call through a carrier that has all values of a
// name.
type received struct{ propagation.TextMapPropagator }

func (p received) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	return p.TextMapPropagator.Extract(ctx, carrier(md))
}

type carrier metadata.MD

func (c carrier) Get(name string) string {
	if values := c.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (c carrier) Values(name string) []string { return metadata.MD(c).Get(name) }
func (c carrier) Set(name, value string)      { metadata.MD(c).Set(name, value) }

func (c carrier) Keys() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	return names
}

// trustBoundary lets the handler in it continue the traces of trusted callers only.
type trustBoundary struct {
	stats.Handler
	trusted func(context.Context) bool
}

func (b trustBoundary) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if b.trusted != nil && b.trusted(ctx) {
		return b.Handler.TagRPC(ctx, info)
	}
	ctx = b.Handler.TagRPC(trust.Untrusted(ctx), info)
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	return metadata.NewIncomingContext(ctx, boundary.WithoutContext(md))
}
