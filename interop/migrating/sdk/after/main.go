// Command after has otelsetup set the SDK up.
package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

// begin
func main() { otelsetup.Main(run) }

func run(ctx context.Context) error {
	return otelsetup.Serve(ctx, &http.Server{Addr: ":8000", Handler: clewhttp.Handler(http.HandlerFunc(hello))})
}

// end

func hello(w http.ResponseWriter, r *http.Request) {
	slog.InfoContext(r.Context(), "hello")
	w.WriteHeader(http.StatusNoContent)
}
