package main

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// grpcServer is a receiver of OTLP over gRPC.
func grpcServer(t *testing.T, certificates ...tls.Certificate) (address string, store *otlpreceiver.Store) {
	t.Helper()
	store = &otlpreceiver.Store{}
	server := otlpreceiver.New(store, nil).GRPCServer()
	address = listen(t, func(l net.Listener) {
		if len(certificates) == 0 {
			server.Serve(l) //nolint:errcheck // ends when closed
			return
		}
		server.TLSConfig = &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}
		server.ServeTLS(l, "", "") //nolint:errcheck // ends when closed
	})
	t.Cleanup(func() { server.Close() })
	return address, store
}

// grpcSocket is a receiver on a unix socket.
func grpcSocket(t *testing.T) (path string, store *otlpreceiver.Store) {
	t.Helper()
	dir, err := os.MkdirTemp("", "clew") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "otel.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	store = &otlpreceiver.Store{}
	server := otlpreceiver.New(store, nil).GRPCServer()
	go server.Serve(listener) //nolint:errcheck // ends when closed
	t.Cleanup(func() { server.Close() })
	return path, store
}
