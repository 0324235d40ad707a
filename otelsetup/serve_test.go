package otelsetup_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clewtrace/clew/otelsetup"
)

// TestServeAnswersWhatHasBegun ends the context while a request is being
// answered.
func TestServeAnswersWhatHasBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := make(chan net.Addr, 1)
	srv := &http.Server{
		Addr: "127.0.0.1:0", ReadHeaderTimeout: patience,
		BaseContext: func(l net.Listener) context.Context { addr <- l.Addr(); return context.Background() },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			cancel()
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request was cancelled: %v", err)
			}
			io.WriteString(w, "done")
		}),
	}
	served := make(chan error, 1)
	go func() { served <- otelsetup.Serve(ctx, srv) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://%v/", <-addr), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "done" {
		t.Errorf("answered %q, %v", body, err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
}

func TestServeTLS(t *testing.T) {
	other := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate, and a client that trusts it
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	addr := make(chan net.Addr, 1)
	srv := &http.Server{
		Addr: "127.0.0.1:0", ReadHeaderTimeout: patience,
		BaseContext: func(l net.Listener) context.Context { addr <- l.Addr(); return context.Background() },
		Handler:     http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() }),
	}
	if err := otelsetup.ServeTLS(ctx, srv, "", ""); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("without a certificate: %v", err)
	}
	srv.TLSConfig = &tls.Config{Certificates: other.TLS.Certificates, MinVersion: tls.VersionTLS12}
	if err := otelsetup.Serve(ctx, srv); err == nil || !strings.Contains(err.Error(), "ServeTLS") {
		t.Errorf("Serve with a certificate: %v", err)
	}
	served := make(chan error, 1)
	go func() { served <- otelsetup.ServeTLS(ctx, srv, "", "") }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://%v/", <-addr), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := other.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-served; err != nil {
		t.Errorf("ServeTLS returned %v", err)
	}
}

func TestServeSaysThatItCannotListen(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := otelsetup.Serve(t.Context(), &http.Server{Addr: listener.Addr().String(), ReadHeaderTimeout: patience}); err == nil {
		t.Error("no error though the address is in use")
	}
}

func ExampleServe() {
	run := func(ctx context.Context) error {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
		return otelsetup.Serve(ctx, &http.Server{Addr: "localhost:8000", Handler: mux})
	}
	main := func() { otelsetup.Main(run) }
	_ = main
}
