package propagator

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"net/netip"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Boundary returns a handler that lets trace context and baggage pass to next
// only with requests that trusted accepts. Put it around the instrumentation,
// for that extracts:
//
//	propagator.Boundary(otelhttp.NewHandler(mux, "server"), propagator.FromNetworks(private...))
//
// Other requests reach next marked by [ContextWithUntrusted] and without the
// header fields that carry trace context or baggage: those that the global
// propagator names, and those of the formats in common use. So next starts a new
// trace whichever propagators are composed, and has nothing to forward.
//
// A nil function trusts nobody.
func Boundary(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	own := New()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if trusted != nil && trusted(r) {
			next.ServeHTTP(w, r)
			return
		}
		global := otel.GetTextMapPropagator()
		carrier := propagation.HeaderCarrier(r.Header)
		caller := trace.SpanContextFromContext(own.Extract(context.Background(), carrier))
		if !caller.IsValid() {
			caller = trace.SpanContextFromContext(global.Extract(context.Background(), carrier))
		}
		r = r.WithContext(contextWithCaller(r.Context(), caller))
		r.Header = WithoutContext(r.Header)
		next.ServeHTTP(w, r)
	})
}

// WithoutContext returns a copy of header fields, or of another protocol's
// metadata, without those that carry trace context or baggage: those that the
// global propagator names, and those of the formats in common use. It is what
// [Boundary] and [Outbound] do to requests.
func WithoutContext[H ~map[string][]string](h H) H {
	// The list of formats is needed beside Fields because that names what a
	// propagator writes: some read more.
	fields := otel.GetTextMapPropagator().Fields()
	h = maps.Clone(h)
	for name := range h {
		if carriesContext(name, fields) {
			delete(h, name)
		}
	}
	return h
}

func carriesContext(name string, fields []string) bool {
	name = strings.ToLower(name)
	switch name {
	case traceparentName, tracestateName, "baggage", // W3C
		"b3", "uber-trace-id", "jaeger-baggage", "x-amzn-trace-id", "x-cloud-trace-context", "grpc-trace-bin":
		return true
	}
	for _, prefix := range [...]string{"x-b3-", "uberctx-", "ot-tracer-", "ot-baggage-", "x-datadog-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for _, field := range fields {
		if strings.EqualFold(name, field) {
			return true
		}
	}
	return false
}

// FromNetworks trusts requests whose peer has an address in one of the networks.
// The peer is whoever opened the connection: behind a proxy, the proxy. Header
// fields such as X-Forwarded-For are not looked at, for anybody can write them.
func FromNetworks(networks ...netip.Prefix) func(*http.Request) bool {
	return func(r *http.Request) bool {
		peer, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			return false
		}
		addr := peer.Addr().Unmap().WithZone("")
		for _, network := range networks {
			if network.Contains(addr) {
				return true
			}
		}
		return false
	}
}

// WithSecret trusts requests that have exactly one header field of that name,
// with the secret as its value. The comparison takes the same time wherever they
// differ. An empty secret trusts nobody.
func WithSecret(header, secret string) func(*http.Request) bool {
	want := sha256.Sum256([]byte(secret))
	return func(r *http.Request) bool {
		values := r.Header.Values(header)
		if len(values) != 1 || secret == "" {
			return false
		}
		got := sha256.Sum256([]byte(values[0]))
		return subtle.ConstantTimeCompare(got[:], want[:]) == 1
	}
}
