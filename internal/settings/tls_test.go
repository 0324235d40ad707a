package settings_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/settings"
	_ "github.com/clewtrace/clew/otelsetup/clientcert"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// issue returns a certificate and its key in PEM.
func (a *authority) issue(t *testing.T, name string, addresses ...net.IP) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: addresses,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return inPEM("CERTIFICATE", der), inPEM("PRIVATE KEY", pkcs8)
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// mutual is a server that wants a certificate of its clients, and may be renewed.
type mutual struct {
	*httptest.Server
	config *tls.Config
}

func newMutual(t *testing.T) *mutual {
	t.Helper()
	m := &mutual{}
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.TLS.PeerCertificates[0].Subject.CommonName))
	}))
	m.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return m.config, nil }}
	m.Config.ErrorLog = log.New(io.Discard, "", 0)
	return m
}

func (m *mutual) use(t *testing.T, a *authority, name string, addresses ...net.IP) {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, name, addresses...))
	if err != nil {
		t.Fatal(err)
	}
	m.config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()}
}

// renewal is the files of a program's certificates, and the connections it makes.
type renewal struct {
	t             *testing.T
	ca, cert, key string
	written       time.Time
	url           string
	config        *tls.Config
}

// write replaces a file. Its time moves on by itself, as it does where a second passes
// between two renewals.
func (r *renewal) write(file string, content []byte) {
	r.t.Helper()
	r.written = r.written.Add(time.Second)
	if err := errors.Join(os.WriteFile(file, content, 0o600), os.Chtimes(file, r.written, r.written)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *renewal) use(a *authority, name string) {
	r.t.Helper()
	cert, key := a.issue(r.t, name)
	r.write(r.ca, inPEM("CERTIFICATE", a.certificate.Raw))
	r.write(r.cert, cert)
	r.write(r.key, key)
}

// connect makes a request over a connection of its own. It returns the name that the
// server knows the client by.
func (r *renewal) connect() (string, error) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: r.config, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	name := make([]byte, 100)
	n, _ := resp.Body.Read(name)
	return string(name[:n]), nil
}

func newRenewal(t *testing.T, m *mutual, host string, a *authority) *renewal {
	t.Helper()
	dir := t.TempDir()
	r := &renewal{t: t, ca: filepath.Join(dir, "ca.pem"), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), written: time.Now().Add(-time.Hour)}
	r.use(a, "client 1")
	r.url = "https://" + net.JoinHostPort(host, m.Listener.Addr().(*net.TCPAddr).AddrPort().String()[len("127.0.0.1:"):])
	s, problems := settings.Read(environ{
		"OTEL_EXPORTER_OTLP_ENDPOINT": r.url, "OTEL_EXPORTER_OTLP_CERTIFICATE": r.ca,
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": r.cert, "OTEL_EXPORTER_OTLP_CLIENT_KEY": r.key,
	}.lookup)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	r.config = s.Spans[0].OTLP.TLS.Config()
	return r
}

// TestRenewedCertificatesAreUsed: by the next connection. Files that cannot be used
// leave what they held before in use, and are reported once.
func TestRenewedCertificatesAreUsed(t *testing.T) {
	var told []string
	before := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err.Error()) }))
	defer otel.SetErrorHandler(before)

	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	m := newMutual(t)
	m.use(t, first, "localhost", net.IPv4(127, 0, 0, 1))
	m.StartTLS()
	defer m.Close()
	for _, host := range []string{"localhost", "127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			told = nil
			m.use(t, first, "localhost", net.IPv4(127, 0, 0, 1))
			r := newRenewal(t, m, host, first)
			want := func(name string) {
				t.Helper()
				if got, err := r.connect(); got != name || err != nil {
					t.Errorf("known as %q, %v; want %q", got, err, name)
				}
			}
			want("client 1")

			m.use(t, second, "localhost", net.IPv4(127, 0, 0, 1))
			if _, err := r.connect(); !errors.As(err, new(*tls.CertificateVerificationError)) {
				t.Errorf("a server of an authority that is not trusted: %v", err)
			}
			r.use(second, "client 2")
			want("client 2")
			if told != nil {
				t.Errorf("told %q", told)
			}

			for range 3 {
				r.write(r.ca, []byte("nothing"))
				r.write(r.cert, []byte("nothing"))
				want("client 2")
			}
			if err := os.Remove(r.ca); err != nil {
				t.Fatal(err)
			}
			want("client 2")
			all := strings.Join(told, "\n")
			if len(told) != 2 || !strings.Contains(all, "OTEL_EXPORTER_OTLP_CERTIFICATE=") || !strings.Contains(all, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=") || !strings.Contains(all, "using what it held before") {
				t.Errorf("told %q", told)
			}
			r.use(second, "client 3")
			want("client 3")
		})
	}
}

// TestServerIsVerifiedAsEver: the name and the use of a certificate count as they do for
// crypto/tls.
func TestServerIsVerifiedAsEver(t *testing.T) {
	authority := newAuthority(t, "first")
	for rule, tc := range map[string]struct {
		host, name string
		addresses  []net.IP
		trusted    bool
	}{
		"its name":             {"localhost", "localhost", nil, true},
		"another name":         {"localhost", "elsewhere", nil, false},
		"its address":          {"127.0.0.1", "elsewhere", []net.IP{net.IPv4(127, 0, 0, 1)}, true},
		"another address":      {"127.0.0.1", "localhost", []net.IP{net.IPv4(127, 0, 0, 2)}, false},
		"a name, not address":  {"127.0.0.1", "localhost", nil, false},
		"an address, not name": {"localhost", "elsewhere", []net.IP{net.IPv4(127, 0, 0, 1)}, false},
	} {
		t.Run(rule, func(t *testing.T) {
			m := newMutual(t)
			m.use(t, authority, tc.name, tc.addresses...)
			m.StartTLS()
			defer m.Close()
			r := newRenewal(t, m, tc.host, authority)
			_, err := r.connect()
			plain := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authority.pool(), Certificates: r.config.Certificates}
			r.config = plain
			if _, other := r.connect(); (err == nil) != tc.trusted || (other == nil) != tc.trusted {
				t.Errorf("%v, crypto/tls says %v; want it trusted: %v", err, other, tc.trusted)
			}
		})
	}
}
