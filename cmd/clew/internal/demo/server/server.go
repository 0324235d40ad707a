// Code generated from examples/server/main.go; DO NOT EDIT.

// Package server is a program of "clew demo".
package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/health"
	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("api-server", trace.WithInstrumentationVersion("1.0.0"))

// Main is the program, and does not return.
func Main() {
	addr := flag.String("addr", "localhost:8000", "`address` to listen on")
	check := flag.String("health", "", "`URL` of a running server to ask for its health, instead of being one")
	flag.Parse()
	if *check != "" {
		health.Exit(*check)
	}
	otelsetup.Main(func(ctx context.Context) error { return serve(ctx, *addr) })
}

func serve(ctx context.Context, addr string) error {
	traced := clewhttp.WithFilter(func(r *http.Request) bool { return r.URL.Path != health.Path })
	return otelsetup.Serve(ctx, &http.Server{
		Addr:              addr,
		Handler:           clewhttp.Handler(http.HandlerFunc(answer), traced),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(l net.Listener) context.Context {
			slog.Info("Listening on http://" + l.Addr().String() + "/")
			return context.Background()
		},
	})
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != health.Path {
		greet(w, r)
	}
}

func greet(w http.ResponseWriter, r *http.Request) {
	ctx, span := tracer.Start(r.Context(), "process-api-request")
	defer span.End()
	span.SetName(r.Method + " " + r.URL.Path)
	span.SetAttributes(semconv.HTTPRoute(r.URL.Path))
	span.AddEvent("processing_request", trace.WithAttributes(
		attribute.String("request_id", rand.Text()),
		attribute.Int64("timestamp", time.Now().UnixMilli()),
	))
	slog.InfoContext(ctx, "Server: Processing request in trace context")

	select {
	case <-time.After(50 * time.Millisecond): // the work
	case <-ctx.Done():
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]string{"message": "Hello from server!"}); err != nil {
		span.RecordError(err)
	}
}
