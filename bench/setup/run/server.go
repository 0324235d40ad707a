//go:build server

package run

import (
	"context"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// Of the servers only the size is measured. That with otelsetup is package hello.
func init() {
	program = func(context.Context) error {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello\n") //nolint:errcheck // the client may have gone
		})
		return (&http.Server{Addr: ":8080", ReadHeaderTimeout: time.Minute, Handler: otelhttp.NewHandler(h, "hello")}).ListenAndServe()
	}
}
