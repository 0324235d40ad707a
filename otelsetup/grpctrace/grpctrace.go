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
	"slices"
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
type ServerOption interface{ applyServer(c *config) }

// ClientOption changes what [Client] does.
type ClientOption interface{ applyClient(c *config) }

// Option is for both sides of a call.
type Option interface {
	ServerOption
	ClientOption
}

type config struct {
	trusted  func(context.Context) bool // nil: every caller
	withhold bool
	filters  []func(fullMethod string) bool
	otelgrpc []otelgrpc.Option
}

// options are those of otelgrpc, which takes one filter.
func (c *config) options() []otelgrpc.Option {
	opts := slices.Clone(c.otelgrpc)
	if c.filters == nil {
		return opts
	}
	return append(opts, otelgrpc.WithFilter(func(info *stats.RPCTagInfo) bool {
		return !slices.ContainsFunc(c.filters, func(traced func(string) bool) bool { return !traced(info.FullMethodName) })
	}))
}

type (
	option       func(*config)
	serverOption func(*config)
	clientOption func(*config)
)

func (o option) applyServer(c *config)       { o(c) }
func (o option) applyClient(c *config)       { o(c) }
func (o serverOption) applyServer(c *config) { o(c) }
func (o clientOption) applyClient(c *config) { o(c) }

// WithTrust makes [Server] a trust boundary: it continues the traces of the
// calls that trusted accepts, for example [Networks]. The context that trusted
// gets has the peer ([peer.FromContext]) and the metadata
// ([metadata.FromIncomingContext]). Another call starts a new trace, linked to
// what the caller sent, and its metadata is without trace context and baggage. A
// nil trusted trusts nobody. Without this option every caller is trusted: a
// service that the internet reaches wants it.
func WithTrust(trusted func(ctx context.Context) bool) ServerOption {
	if trusted == nil {
		trusted = func(context.Context) bool { return false }
	}
	return serverOption(func(c *config) { c.trusted = trusted })
}

// Networks trusts calls whose peer has an address in one of the networks. The
// peer is whoever opened the connection: behind a proxy, the proxy.
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

// WithoutContext keeps trace ids and baggage from what [Client] calls: a service
// of somebody else. The client span is recorded all the same.
func WithoutContext() ClientOption { return clientOption(func(c *config) { c.withhold = true }) }

// WithFilter leaves out the calls for which traced returns false: they make no
// span and no metrics. It gets the full name of the method, such as
// "/shop.Orders/Get". Of several filters, all must return true. A nil one leaves
// out nothing.
func WithFilter(traced func(fullMethod string) bool) Option {
	return option(func(c *config) {
		if traced != nil {
			c.filters = append(c.filters, traced)
		}
	})
}

// WithoutHealthChecks leaves out the calls of gRPC's health service,
// grpc.health.v1.Health.
func WithoutHealthChecks() Option {
	return WithFilter(func(fullMethod string) bool { return !strings.HasPrefix(fullMethod, "/grpc.health.v1.Health/") })
}

// WithInstrumentation passes options on to otelgrpc, for example
// [otelgrpc.WithMessageEvents]. Propagators and filters are set here.
func WithInstrumentation(opts ...otelgrpc.Option) Option {
	return option(func(c *config) { c.otelgrpc = append(c.otelgrpc, opts...) })
}

// Server traces the calls that a server answers. It uses the global providers
// and propagator, which may be set later.
func Server(opts ...ServerOption) grpc.ServerOption {
	var c config
	for _, o := range opts {
		o.applyServer(&c)
	}
	global := received{trust.Propagator(otel.GetTextMapPropagator())}
	h := otelgrpc.NewServerHandler(append(c.options(), otelgrpc.WithPropagators(global))...)
	if c.trusted != nil {
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
	sent := otel.GetTextMapPropagator()
	if c.withhold {
		sent = propagation.NewCompositeTextMapPropagator()
	}
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(append(c.options(), otelgrpc.WithPropagators(sent))...))
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
