package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

func (t *target) unresolved(host string, err error) *Problem {
	what := "the name " + host + " cannot be resolved: " + err.Error()
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		what = "there is no host called " + host
	}
	return &Problem{t.endpoint.Address + ": " + what, "correct the host in " + t.where() + "; names of containers exist only in their own network"}
}

// where names what holds the address that is connected to.
func (t *target) where() string {
	if t.proxy != nil {
		return "HTTP_PROXY or HTTPS_PROXY"
	}
	return t.sends[0].variable("ENDPOINT")
}

func (t *target) unconnected(address string, err error) *Problem {
	where := t.where()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		cure := "start the receiver there, or set " + where + " to where it is"
		if isLoopback(t.sends[0].Endpoint.Hostname()) {
			cure += "; inside a container, localhost is the container itself"
		}
		return &Problem{t.endpoint.Address + ": nothing listens on " + address, cure}
	case errors.Is(err, fs.ErrNotExist):
		return &Problem{t.endpoint.Address + ": there is no socket " + address, "start the receiver there, or set " + where + " to where it is"}
	case isTimeout(err):
		return &Problem{fmt.Sprintf("%s: %s does not answer within %v", t.endpoint.Address, address, t.sends[0].Timeout),
			"correct the host and port in " + where + ", or let a firewall pass them"}
	default:
		return &Problem{t.endpoint.Address + ": no connection: " + err.Error(), "correct " + where + ", or look at this machine's network"}
	}
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// unanswered explains why a request had no answer although the port accepts
// connections.
func (s send) unanswered(ctx context.Context, err error) *Problem {
	endpoint := s.variable("ENDPOINT")
	if errors.Is(ctx.Err(), context.Canceled) {
		return s.problem("interrupted", "run it again")
	}
	if clientCertificate(err) {
		return s.problem("the server wants a certificate from its client", s.clientCertificateCure())
	}
	// The context of the request may have ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*identifyTimeout)
	defer cancel()
	speaks := s.speaks(ctx)
	switch {
	case s.Endpoint.Scheme == "https" && cutOff(err) && s.wantsCertificate(ctx):
		return s.problem("the server wants a certificate from its client", s.clientCertificateCure())
	case speaks == speaksTLS && s.Endpoint.Scheme == "http":
		return s.problem("the port speaks TLS, and the request was sent without", "write https:// in "+endpoint)
	case speaks == speaksHTTP2 && s.protocol != protocolGRPC:
		return s.problem("the port speaks gRPC, and OTLP/HTTP was sent", s.switchToGRPC())
	case speaks == speaksHTTP1 && s.protocol == protocolGRPC:
		return s.problem("the port speaks HTTP/1.1, and gRPC was sent", s.switchToHTTP())
	case (speaks == speaksHTTP1 || speaks == speaksHTTP2) && s.Endpoint.Scheme == "https":
		return s.problem("the port does not speak TLS", "write http:// in "+endpoint)
	case isTimeout(err) || strings.Contains(err.Error(), context.DeadlineExceeded.Error()):
		return s.problem(fmt.Sprintf("connected, and no answer within %v", s.Timeout),
			"look at whether the receiver works, or something else listens there; raise "+s.variable("TIMEOUT")+" if it is only slow")
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return s.problem("the connection was closed without an answer", "something else may listen there: correct "+endpoint+", or look at the receiver's log")
	default:
		return s.problem(s.masked(err.Error()), "correct "+endpoint+", or look at the receiver's log")
	}
}

// What a port was seen to speak.
const (
	speaksTLS   = "TLS"
	speaksHTTP2 = "HTTP/2 without TLS"
	speaksHTTP1 = "HTTP/1.1 without TLS"
)

// identifyTimeout bounds each attempt to make a port speak.
const identifyTimeout = 2 * time.Second

// speaks returns the protocol that the endpoint speaks, or "" if it is not one of
// those that are tried. The order matters, because a server for TLS may also answer
// a request in plain HTTP.
func (s send) speaks(ctx context.Context) string {
	if s.proxy() != nil {
		return ""
	}
	attempts := []struct {
		name string
		try  func(ctx context.Context, conn net.Conn) bool
	}{{speaksTLS, answersTLS}, {speaksHTTP2, answersHTTP2}, {speaksHTTP1, answersHTTP1}}
	answers := make([]bool, len(attempts))
	var wait sync.WaitGroup
	for i, attempt := range attempts {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
			defer cancel()
			conn, err := s.dial(ctx)
			if err != nil {
				return
			}
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			answers[i] = attempt.try(ctx, conn)
		})
	}
	wait.Wait()
	for i, attempt := range attempts {
		if answers[i] {
			return attempt.name
		}
	}
	return ""
}

// answersTLS accepts any certificate, since nothing is sent.
func answersTLS(ctx context.Context, conn net.Conn) bool {
	err := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) //nolint:gosec // see above
	return err == nil || strings.Contains(err.Error(), "remote error: tls:")
}

// answersHTTP2 looks for the SETTINGS frame that begins a connection: RFC 9113,
// "HTTP/2 Connection Preface".
func answersHTTP2(_ context.Context, conn net.Conn) bool {
	const preface, emptySettings = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, preface+emptySettings); err != nil {
		return false
	}
	const typeSettings = 4
	var header [9]byte
	_, err := io.ReadFull(conn, header[:])
	return err == nil && header[3] == typeSettings && [4]byte(header[5:]) == [4]byte{}
}

func answersHTTP1(_ context.Context, conn net.Conn) bool {
	if _, err := io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	begin := make([]byte, len("HTTP/1."))
	_, err := io.ReadFull(conn, begin)
	return err == nil && string(begin) == "HTTP/1."
}
