package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/clewtrace/clew/internal/settings"
)

// certificate says whose a certificate is, for which names, and until when.
func certificate(c *x509.Certificate) string {
	subject := c.Subject.String()
	if subject == "" {
		subject = "no subject"
	}
	return fmt.Sprintf("%s for %s, expires %s", subject, names(c), c.NotAfter.UTC().Format(time.DateOnly))
}

func names(c *x509.Certificate) string {
	all := c.DNSNames
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no name"
	}
	return strings.Join(all, " ")
}

// untrusted explains why no TLS connection was made.
func (t *target) untrusted(ctx context.Context, err error) (detail string, wrong *Problem) {
	s, address := t.sends[0], t.endpoint.Address
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
		leaf := bad.UnverifiedCertificates[0]
		reason, cure := verification(s, leaf, bad.Err)
		return certificate(leaf), &Problem{fmt.Sprintf("%s: %s: %s", address, reason, certificate(leaf)), cure}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || s.speaks(ctx) == speaksHTTP1 || s.speaks(ctx) == speaksHTTP2 {
		return "no TLS there", &Problem{address + ": the port does not speak TLS", "write http:// in " + s.variable("ENDPOINT") + ", or use the receiver's TLS port"}
	}
	if clientCertificate(err) {
		return "refused", &Problem{address + ": the server wants a certificate from its client, and does not accept the one it gets: " + err.Error(), s.clientCertificateCure()}
	}
	return "failed", &Problem{address + ": no TLS connection: " + err.Error(), "look at what the server logs; it may support other TLS versions only, or be no TLS server"}
}

func verification(s send, leaf *x509.Certificate, err error) (reason, cure string) {
	ca := s.variable("CERTIFICATE")
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for another name", fmt.Sprintf("use one of its names (%s) in %s, or give the server a certificate for %s", names(leaf), s.variable("ENDPOINT"), s.Endpoint.Hostname())
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		if time.Now().Before(leaf.NotBefore) {
			return "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.DateTime), "set this machine's clock, or the server's certificate"
		}
		return "the certificate has expired", "renew the server's certificate; if it has not expired, set this machine's clock"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		reason = "the certificate is signed by " + leaf.Issuer.String() + ", which is not trusted here"
		if leaf.Issuer.String() == leaf.Subject.String() {
			reason = "the certificate is signed by itself, and not trusted here"
		}
		if file := s.env.setting("OTEL_EXPORTER_OTLP_" + strings.ToUpper(s.Signal) + "_CERTIFICATE"); file.Source != "" && file.Source != settings.Default {
			return reason, fmt.Sprintf("%s=%s holds other certificates: give it the file of the authority that signed this one", ca, file.Value)
		}
		return reason, "if you trust it, set " + ca + " to a PEM file with the authority's certificate"
	}
	return "the certificate is not accepted: " + err.Error(), "give the server another certificate"
}

// clientCertificate reports whether the server ended the handshake because it wants
// a certificate from its client.
func clientCertificate(err error) bool {
	for _, alert := range []string{"certificate required", "bad certificate", "unknown certificate authority", "unsupported certificate"} {
		if strings.Contains(err.Error(), "remote error: tls: "+alert) {
			return true
		}
	}
	return false
}

// cutOff reports whether the other side ended the connection. The error of net/http has
// no more than the text if that happens before HTTP/2 has begun.
func cutOff(err error) bool {
	for _, text := range []string{"EOF", syscall.EPIPE.Error(), syscall.ECONNRESET.Error(), "http2: client conn could not be established"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// wantsCertificate reports whether the server ends a connection for want of a
// certificate. In TLS 1.3 the client's handshake is over before the server has
// looked for one (RFC 8446, "Protocol Overview"), and a request that is sent at
// once meets a closed connection, which hides the reason. This sends none.
func (s send) wantsCertificate(ctx context.Context) bool {
	if s.proxy() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	plain, err := s.dial(ctx)
	if err != nil {
		return false
	}
	defer plain.Close()
	stop := context.AfterFunc(ctx, func() { plain.Close() })
	defer stop()
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}) //nolint:gosec // nothing is sent
	err = conn.HandshakeContext(ctx)
	for one := make([]byte, 64); err == nil; { // the settings of HTTP/2 may come first
		_, err = conn.Read(one)
	}
	return clientCertificate(err)
}

func (s send) clientCertificateCure() string {
	return fmt.Sprintf("set %s and %s to a certificate that the server trusts and its key", s.variable("CLIENT_CERTIFICATE"), s.variable("CLIENT_KEY"))
}
