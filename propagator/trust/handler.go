package trust

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
	"net/netip"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/boundary"
	"github.com/clewtrace/clew/propagator"
)

// Handler returns a handler that lets trace context and baggage pass to next
// only with requests that trusted accepts. It goes around the instrumentation,
// because that extracts:
//
//	trust.Handler(otelhttp.NewHandler(mux, "server"), trust.Networks(private...))
//
// Another request reaches next with a context marked by [Untrusted] and without
// the header fields that carry trace context or baggage: those that the global
// propagator names, and those of the formats in common use. So next starts a new
// trace whichever propagators are composed, and has nothing to forward.
//
// A nil function trusts nobody.
func Handler(next http.Handler, trusted func(*http.Request) bool) http.Handler {
	return handler{next, trusted, propagator.New()}
}

type handler struct {
	next    http.Handler
	trusted func(*http.Request) bool
	w3c     propagation.TextMapPropagator
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.trusted != nil && h.trusted(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	inner := r.WithContext(boundary.Untrusted(r.Context(), h.callerOf(r.Header)))
	inner.Header = boundary.WithoutContext(r.Header)
	if r.Trailer == nil && r.Body != nil && r.ContentLength < 0 { // chunked
		inner.Body = &trailing{r.Body, r, inner}
	}
	// The server removes the temporary files of the form in its own request when
	// that is done, and what is around this handler looks for the pattern there.
	defer func() { r.MultipartForm, r.Pattern = inner.MultipartForm, inner.Pattern }()
	h.next.ServeHTTP(w, inner)
}

// trailing is the body of a request whose header announces no trailers. If there
// are some, the server puts them into its own request at the end of the body.
type trailing struct {
	io.ReadCloser
	server, inner *http.Request
}

func (b *trailing) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.inner.Trailer = b.server.Trailer
	}
	return n, err
}

// callerOf returns the span context that a request came with, in the W3C format
// or in one that the global propagator reads.
func (h handler) callerOf(header http.Header) trace.SpanContext {
	carrier := propagation.HeaderCarrier(header)
	caller := trace.SpanContextFromContext(h.w3c.Extract(context.Background(), carrier))
	if !caller.IsValid() {
		caller = trace.SpanContextFromContext(otel.GetTextMapPropagator().Extract(context.Background(), carrier))
	}
	return caller
}

// Networks trusts requests whose peer has an address in one of the networks. The
// peer is whoever opened the connection: behind a proxy, the proxy. Header fields
// such as X-Forwarded-For are not looked at, because anybody can write them.
func Networks(networks ...netip.Prefix) func(*http.Request) bool {
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

// Secret trusts requests that have exactly one header field of that name, with
// the secret as its value. The comparison takes the same time wherever they
// differ. An empty secret trusts nobody.
func Secret(header, secret string) func(*http.Request) bool {
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
