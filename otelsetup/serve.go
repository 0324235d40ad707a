package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Serve listens on srv.Addr and serves until ctx ends; then the requests that
// have begun are answered, for at most [ShutdownTimeout]. It returns nil after
// that, and an error if it cannot listen, if serving fails, or if requests had
// to be cut off.
//
// With certificates in srv.TLSConfig it serves HTTPS. An empty srv.Addr is
// ":http", or ":https" then. All other fields of srv keep their meaning.
func Serve(ctx context.Context, srv *http.Server) error {
	secure := srv.TLSConfig != nil &&
		(len(srv.TLSConfig.Certificates) > 0 || srv.TLSConfig.GetCertificate != nil || srv.TLSConfig.GetConfigForClient != nil)
	addr := srv.Addr
	if addr == "" {
		addr = ":http"
		if secure {
			addr = ":https"
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() {
		if secure {
			served <- srv.ServeTLS(listener, "", "")
		} else {
			served <- srv.Serve(listener)
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownTimeout)
	defer cancel()
	err = srv.Shutdown(graceful)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", errors.Join(err, srv.Close()))
	}
	<-served
	return err
}
