package otlpgrpc

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/otelsetup/extend"
)

// address is what senders have in common that share a connection.
type address struct {
	target string
	secure bool
	tls    *tls.Config // nil: the system's roots
}

// target returns where requests go as gRPC spells it.
func target(c extend.OTLP) string {
	if c.Target != "" {
		return c.Target
	}
	port := c.Endpoint.Port()
	if port == "" {
		port = "4317"
	}
	// As a URL, so that what gRPC parses is escaped.
	return (&url.URL{Scheme: "dns", Path: "/" + net.JoinHostPort(c.Endpoint.Hostname(), port)}).String()
}

const (
	dialTimeout = 5 * time.Second

	// A link that is silent while it has calls is closed after the sum of the two, so
	// that a new one carries them within 15 s. The first is the shortest that gRPC
	// allows. Most servers do not want to be pinged that often; but none that answers
	// calls minds, and none is pinged while there are no calls (gRPC Keepalive User
	// Guide, "Keepalive Configuration Specification").
	pingAfter = 10 * time.Second
	pingFor   = 3 * time.Second

	farewell = 250 * time.Millisecond
)

func dialOptions(at address) []grpc.DialOption {
	transport := insecure.NewCredentials()
	if at.secure {
		config := at.tls
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		transport = credentials.NewTLS(config)
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(shortFarewell{transport}),
		grpc.WithUserAgent(otlp.UserAgent()),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), // package delivery repeats
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: dialTimeout}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingFor}),
	}
}

// shortFarewell bounds the time that closing a connection takes if the other end reads no
// more: gRPC and TLS give their last message seconds to be written.
type shortFarewell struct {
	credentials.TransportCredentials
}

func (f shortFarewell) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return f.TransportCredentials.ClientHandshake(ctx, authority, hasty{raw})
}

func (f shortFarewell) Clone() credentials.TransportCredentials {
	return shortFarewell{f.TransportCredentials.Clone()}
}

// hasty is a connection whose writes get a deadline only to end.
type hasty struct{ net.Conn }

func (c hasty) SetWriteDeadline(t time.Time) error {
	if latest := time.Now().Add(farewell); t.After(latest) {
		t = latest
	}
	return c.Conn.SetWriteDeadline(t)
}
