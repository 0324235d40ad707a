// Command middleware is a service whose handlers find the trace, the logger's
// ids and the tenant in the request's context, because middleware at the edge
// has put them there.
//
//	OTEL_SERVICE_NAME=users go run ./examples/middleware
//	curl -H 'Tenant: acme' http://localhost:8000/users/42
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("users")

func main() {
	addr := flag.String("addr", "localhost:8000", "`address` to listen on")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error { return serve(ctx, *addr) })
}

// newHandler puts the tracing outermost: what is inside has the server span in
// its context, and its time is part of that span.
func newHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", getUser)
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	return clewhttp.Handler(accessLog(tenant(mux)), clewhttp.WithFilter(func(r *http.Request) bool {
		return r.URL.Path != "/healthz"
	}))
}

// accessLog needs no tracing code: the record carries the ids because it is
// logged with the request's context.
func accessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		next.ServeHTTP(w, r)
		slog.InfoContext(r.Context(), "request", slog.String("path", r.URL.Path), slog.Duration("took", time.Since(start)))
	})
}

// tenant says on the server span whose request it is, and hands that on as
// baggage to all services that are called for it.
func tenant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.Header.Get("Tenant"); name != "" {
			ctx := r.Context()
			trace.SpanFromContext(ctx).SetAttributes(attribute.String("app.tenant", name))
			if member, err := baggage.NewMemberRaw("app.tenant", name); err == nil {
				if bag, err := baggage.FromContext(ctx).SetMember(member); err == nil {
					ctx = baggage.ContextWithBaggage(ctx, bag)
				}
			}
			// In place, for the mux writes the route that it finds into the
			// request it is given, and the server span is named after that.
			*r = *r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

func getUser(w http.ResponseWriter, r *http.Request) {
	ctx, span := tracer.Start(r.Context(), "load-user")
	defer span.End()
	span.SetAttributes(attribute.String("app.tenant", baggage.FromContext(ctx).Member("app.tenant").Value()))
	slog.InfoContext(ctx, "loading user", slog.String("id", r.PathValue("id")))
	fmt.Fprintf(w, "user %s\n", r.PathValue("id"))
}

func serve(ctx context.Context, addr string) error {
	return otelsetup.Serve(ctx, &http.Server{
		Addr:              addr,
		Handler:           newHandler(),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(l net.Listener) context.Context {
			slog.Info("Listening on http://" + l.Addr().String() + "/")
			return context.Background()
		},
	})
}
