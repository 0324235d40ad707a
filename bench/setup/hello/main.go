// Hello is a server with telemetry, of which only the size is measured.
package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

func main() {
	otelsetup.Main(func(ctx context.Context) error {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "hello\n") //nolint:errcheck // the client may have gone
		})
		return otelsetup.Serve(ctx, &http.Server{Addr: ":8080", ReadHeaderTimeout: time.Minute, Handler: clewhttp.Handler(h)})
	})
}
