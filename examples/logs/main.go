// Command logs is a chain of services that log what they do, and a client that
// sends many orders at once. A search for one trace id over the logs of all of
// them finds the story of one order.
//
//	OTEL_SERVICE_NAME=stock go run ./examples/logs -addr localhost:8001 2>stock.log
//	OTEL_SERVICE_NAME=shop go run ./examples/logs -next http://localhost:8001 2>shop.log
//	OTEL_SERVICE_NAME=client go run ./examples/logs -load http://localhost:8000 -orders 200 2>client.log
//	grep -h 4bf92f3577b34da6a3ce929d0e0e4736 *.log
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("logs")

func main() {
	addr := flag.String("addr", "localhost:8000", "`address` to listen on")
	next := flag.String("next", "", "`URL` of the service that orders are passed on to; empty decides here")
	load := flag.String("load", "", "`URL` of the service to send orders to, instead of being one")
	orders := flag.Int("orders", 1, "`number` of orders to send")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		if *load != "" {
			return sendOrders(ctx, *load, *orders)
		}
		return serve(ctx, *addr, *next)
	})
}

// sendOrders sends n orders at once. Each is a trace of its own.
func sendOrders(ctx context.Context, url string, n int) error {
	var ready, done sync.WaitGroup
	ready.Add(n)
	for order := range n {
		done.Go(func() {
			ctx, span := tracer.Start(ctx, "order")
			defer span.End()
			span.SetAttributes(attribute.Int("app.order", order))
			slog.InfoContext(ctx, "ordering", slog.Int("order", order))
			ready.Done()
			ready.Wait()
			status, err := ask(ctx, url, order)
			if err != nil {
				span.RecordError(err)
				span.SetStatus(codes.Error, err.Error())
			}
			slog.InfoContext(ctx, "answered", slog.Int("order", order), slog.Int("status", status), slog.Any("error", err))
		})
	}
	done.Wait()
	return nil
}

func ask(ctx context.Context, url string, order int) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/orders/%d", url, order), http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// receive passes an order on, or decides: what ends in 0 is sold out.
func receive(next string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		order, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			http.Error(w, "want /orders/NUMBER", http.StatusBadRequest)
			return
		}
		// The attribute is bound once; the ids come from the context of each call.
		ctx, log := r.Context(), slog.With(slog.Int("order", order))
		log.InfoContext(ctx, "received")
		status := http.StatusOK
		switch {
		case next != "":
			if status, err = ask(ctx, next, order); err != nil {
				log.ErrorContext(ctx, "not passed on", slog.Any("error", err))
				status = http.StatusBadGateway
			}
			log.InfoContext(ctx, "passed on", slog.Int("status", status))
		case order%10 == 0:
			log.WarnContext(ctx, "sold out")
			status = http.StatusConflict
		default:
			log.InfoContext(ctx, "reserved")
		}
		w.WriteHeader(status)
	}
}

func serve(ctx context.Context, addr, next string) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", receive(next))
	return otelsetup.Serve(ctx, &http.Server{
		Addr:              addr,
		Handler:           clewhttp.Handler(mux),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(l net.Listener) context.Context {
			slog.Info("Listening on http://" + l.Addr().String() + "/")
			return context.Background()
		},
	})
}
