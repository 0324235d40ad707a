// Command victim is a server that everyone can reach, for attacks on its
// telemetry. It prints the address that it listens on.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

func main() {
	otelsetup.Main(func(ctx context.Context) error {
		return otelsetup.Serve(ctx, &http.Server{
			Addr:    "127.0.0.1:0",
			Handler: clewhttp.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})),
			BaseContext: func(l net.Listener) context.Context {
				fmt.Println(l.Addr())
				return ctx
			},
		})
	})
}
