// Package grpctrace traces gRPC servers and clients: ready-made options around
// [go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc].
//
//	server := grpc.NewServer(grpctrace.Server())
//	conn, err := grpc.NewClient(target, grpctrace.Client(), ...)
//
// A call makes a client and a server span, and the RPC metrics. Names of
// metadata are lower-case, as gRPC sends all of them. Of a tracestate in several
// entries all count, where otelgrpc alone reads the first.
package grpctrace

import (
	"context"
	"net"
	"net/netip"

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

// Option changes what [Server] or [Client] does.
type Option interface{ apply(*config) }

type config struct {
	trusted  func(context.Context) bool // nil: every caller
	withhold bool
	otelgrpc []otelgrpc.Option
}

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithTrust makes [Server] a trust boundary: it continues the traces of the
// calls that trusted accepts, whose context has the peer ([peer.FromContext]) and
// the metadata ([metadata.FromIncomingContext]). Another call starts a new
// trace, linked to what the caller sent, and its metadata is without trace
// context and baggage. By default every caller is trusted. A service that the
// internet reaches wants this. [Client] ignores it.
func WithTrust(trusted func(ctx context.Context) bool) Option {
	return option(func(c *config) { c.trusted = trusted })
}

// FromNetworks trusts calls whose peer has an address in one of the networks.
// The peer is whoever opened the connection: behind a proxy, the proxy.
func FromNetworks(networks ...netip.Prefix) func(ctx context.Context) bool {
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

// WithoutContext keeps trace ids and baggage from what [Client] calls: a service
// of somebody else. The client span is recorded all the same. [Server] ignores
// it.
func WithoutContext() Option { return option(func(c *config) { c.withhold = true }) }

// WithInstrumentation passes options on to otelgrpc, for example
// [otelgrpc.WithFilter].
func WithInstrumentation(opts ...otelgrpc.Option) Option {
	return option(func(c *config) { c.otelgrpc = append(c.otelgrpc, opts...) })
}

func newConfig(opts []Option) config {
	var c config
	for _, o := range opts {
		o.apply(&c)
	}
	return c
}

// Server traces the calls that a server answers. It uses the global providers
// and propagator, which may be set later.
func Server(opts ...Option) grpc.ServerOption {
	c := newConfig(opts)
	global := received{trust.Propagator(otel.GetTextMapPropagator())}
	h := otelgrpc.NewServerHandler(append([]otelgrpc.Option{otelgrpc.WithPropagators(global)}, c.otelgrpc...)...)
	if c.trusted != nil {
		h = trustBoundary{h, c.trusted}
	}
	return grpc.StatsHandler(h)
}

// Client traces the calls over a connection. It uses the global providers and
// propagator, which may be set later.
func Client(opts ...Option) grpc.DialOption {
	c := newConfig(opts)
	sent := otel.GetTextMapPropagator()
	if c.withhold {
		sent = propagation.NewCompositeTextMapPropagator()
	}
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(append([]otelgrpc.Option{otelgrpc.WithPropagators(sent)}, c.otelgrpc...)...))
}

// received reads the metadata of a call by a carrier that has all values of a
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

// trustBoundary lets the handler below continue the traces of trusted callers only.
type trustBoundary struct {
	stats.Handler
	trusted func(context.Context) bool
}

func (b trustBoundary) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if b.trusted(ctx) {
		return b.Handler.TagRPC(ctx, info)
	}
	ctx = b.Handler.TagRPC(trust.Untrusted(ctx), info)
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx
	}
	return metadata.NewIncomingContext(ctx, boundary.WithoutContext(md))
}
