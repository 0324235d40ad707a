package otlpgrpc_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// certificate returns one for 127.0.0.1 and example.com, and the pool that it is in.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return s.TLS.Certificates[0], roots
}

func TestTLS(t *testing.T) {
	own, roots := certificate(t)
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12})
	plain := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, plain, nil)
	for rule, tc := range map[string]struct {
		endpoint, target string
		config           *tls.Config
		reason           string
	}{
		"a root of the configuration":     {"https://" + l.Addr().String(), "", &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ""},
		"the scheme counts for a target":  {"https://collector", "dns:///" + l.Addr().String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ""},
		"a name of the configuration":     {"https://" + l.Addr().String(), "", &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, ""},
		"another name":                    {"https://" + l.Addr().String(), "", &tls.Config{RootCAs: roots, ServerName: "example.org", MinVersion: tls.VersionTLS12}, "tls"},
		"the system's roots":              {"https://" + l.Addr().String(), "", nil, "tls"},
		"a server without TLS":            {"https://" + plain.Addr().String(), "", nil, "tls"},
		"a server with TLS, asked for no": {"http://" + l.Addr().String(), "", nil, "network"},
	} {
		t.Run(rule, func(t *testing.T) {
			config := endpoint(t, tc.endpoint)
			config.Target, config.TLS = tc.target, tc.config
			_, err := sender(t, config).Send(within(t, 10*time.Second), delivery.Traces, nil)
			got, _ := errors.AsType[*delivery.SendError](err)
			switch {
			case tc.reason == "" && err != nil:
				t.Error(err)
			case tc.reason != "" && (got == nil || got.Reason != tc.reason || !got.Retry || got.Refused):
				t.Errorf("%#v, want the reason %s", err, tc.reason)
			}
		})
	}
}

func TestANewConnectionShowsTheCertificateOfTheTime(t *testing.T) {
	own, roots := certificate(t)
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12})
	p := newProxy(t, l.Addr().String())
	var asked atomic.Int32
	config := endpoint(t, "https://"+p.Addr().String())
	config.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked.Add(1)
		return &own, nil
	}}
	s := sender(t, config)
	for want := range int32(2) {
		if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil || asked.Load() != want+1 {
			t.Fatalf("connection %d: asked %d times, %v", want+1, asked.Load(), err)
		}
		p.silence()
		_, _ = s.Send(within(t, 50*time.Millisecond), delivery.Traces, nil)
	}
}

const proxyVariable = "HTTPS_PROXY"

// The test runs itself with a proxy in the environment, which is read once in a process.
func TestAProxyOfTheEnvironmentIsUsed(t *testing.T) {
	const target = "collector.test:4317"
	if os.Getenv("CLEW_TEST_PROXIED") != "" {
		if _, err := sender(t, endpoint(t, "http://"+target)).Send(within(t, 10*time.Second), delivery.Traces, nil); err != nil {
			t.Error(err)
		}
		return
	}
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	connects := make(chan *http.Request, 10)
	http1 := listen(t, "tcp", "127.0.0.1:0")
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := http1.Accept()
			if err != nil {
				return
			}
			running.Go(func() { connect(t, client, l.Addr().String(), connects) })
		}
	})
	t.Cleanup(func() { http1.Close(); running.Wait() })

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "CLEW_TEST_PROXIED=1", proxyVariable+"=http://user:word@"+http1.Addr().String(), "NO_PROXY=")
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := <-connects
	if user, word, _ := basicAuth(r); r.Host != target || user != "user" || word != "word" {
		t.Errorf("CONNECT %s of %s:%s", r.Host, user, word)
	}
	if got := c.headers[0].Header.Get(":authority"); len(got) != 1 || got[0] != target {
		t.Errorf(":authority %q, want %s", got, target)
	}
}

func basicAuth(r *http.Request) (user, word string, ok bool) {
	as := &http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
	return as.BasicAuth()
}

// connect answers one CONNECT.
func connect(t *testing.T, client net.Conn, to string, connects chan<- *http.Request) {
	t.Helper()
	defer client.Close()
	in := bufio.NewReader(client)
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Error(err)
		return
	}
	connects <- r
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer server.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(client, server) })
	_, _ = io.Copy(server, in)
	server.Close()
	back.Wait()
}
