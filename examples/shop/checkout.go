package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
)

const (
	maxCarts = 10_000 // the oldest makes room
	maxItems = 100    // different ones in a cart
)

// till is the checkout service: carts, and the orders they become.
type till struct {
	inventory, payment, worker string // URLs
	orders                     metric.Int64Counter

	mu    sync.Mutex
	carts map[string]map[string]int // by cart, quantity by SKU
	ids   []string                  // of the carts, oldest first
}

func checkout(flags *flag.FlagSet) func(context.Context) error {
	addr := flags.String("addr", "localhost:8001", "`address` to listen on")
	t := &till{carts: make(map[string]map[string]int)}
	flags.StringVar(&t.inventory, "inventory", "http://localhost:8002", "`URL` of the inventory")
	flags.StringVar(&t.payment, "payment", "http://localhost:8003", "`URL` of the payment")
	flags.StringVar(&t.worker, "worker", "http://localhost:8004", "`URL` of the worker")
	return func(ctx context.Context) error {
		var err error
		t.orders, err = meter.Int64Counter("shop.orders", metric.WithUnit("{order}"),
			metric.WithDescription("Orders by their outcome: accepted, sold_out, declined or failed."))
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /products", t.list)
		mux.HandleFunc("PUT /carts/{cart}/items/{sku}", t.add)
		mux.HandleFunc("POST /carts/{cart}/order", t.order)
		return serve(ctx, *addr, mux)
	}
}

func (t *till) list(w http.ResponseWriter, r *http.Request) {
	var products []product
	if err := call(r.Context(), http.MethodGet, t.inventory+"/products", nil, &products); err != nil {
		slog.ErrorContext(r.Context(), "no products", slog.Any("error", err))
		http.Error(w, "no products", http.StatusBadGateway)
		return
	}
	reply(w, http.StatusOK, products)
}

// add puts one more of the product into the cart.
func (t *till) add(w http.ResponseWriter, r *http.Request) {
	cart, sku := r.PathValue("cart"), r.PathValue("sku")
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.carts[cart] == nil {
		t.carts[cart] = make(map[string]int)
		if t.ids = append(t.ids, cart); len(t.ids) > maxCarts {
			delete(t.carts, t.ids[0])
			t.ids = t.ids[1:]
		}
	}
	if len(t.carts[cart]) >= maxItems {
		http.Error(w, "the cart is full", http.StatusConflict)
		return
	}
	t.carts[cart][sku]++
	w.WriteHeader(http.StatusNoContent)
}

// take returns what is in the cart and empties it.
func (t *till) take(cart string) map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	items := t.carts[cart]
	delete(t.carts, cart)
	t.ids = slices.DeleteFunc(t.ids, func(id string) bool { return id == cart })
	return items
}

func (t *till) order(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	items := t.take(r.PathValue("cart"))
	if len(items) == 0 {
		http.Error(w, "the cart is empty", http.StatusNotFound)
		return
	}
	order := rand.Text()
	span := trace.SpanFromContext(ctx)
	span.SetAttributes(attribute.String("shop.order", order))

	total, err := t.place(ctx, order, items)
	outcome, status := outcomeOf(err)
	span.SetAttributes(attribute.String("shop.outcome", outcome), attribute.Int("shop.total", total))
	t.orders.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", outcome)))
	attrs := []slog.Attr{slog.String("order", order), slog.Int("total", total)}
	switch {
	case err == nil:
		slog.LogAttrs(ctx, slog.LevelInfo, "order accepted", attrs...)
		reply(w, status, map[string]any{"order": order, "total": total})
		return
	case status >= http.StatusInternalServerError:
		span.RecordError(err)
		slog.LogAttrs(ctx, slog.LevelError, "order failed", append(attrs, slog.Any("error", err))...)
	default:
		slog.LogAttrs(ctx, slog.LevelInfo, "order refused", append(attrs, slog.String("outcome", outcome))...)
	}
	http.Error(w, outcome, status)
}

func outcomeOf(err error) (outcome string, status int) {
	var answer *statusError
	switch {
	case err == nil:
		return "accepted", http.StatusCreated
	case errors.As(err, &answer) && answer.Code == http.StatusConflict:
		return "sold_out", http.StatusConflict
	case errors.As(err, &answer) && answer.Code == http.StatusPaymentRequired:
		return "declined", http.StatusPaymentRequired
	default:
		return "failed", http.StatusBadGateway
	}
}

// place reserves the items, charges the card and has the order shipped. If one
// of the first two fails, it gives the items back.
func (t *till) place(ctx context.Context, order string, items map[string]int) (total int, err error) {
	var reserved []reservation
	defer func() {
		if err != nil {
			t.giveBack(ctx, reserved)
		}
	}()
	for _, sku := range slices.Sorted(maps.Keys(items)) {
		want := reservation{Order: order, SKU: sku, Quantity: items[sku]}
		var p product
		if err := call(ctx, http.MethodPost, t.inventory+"/reservations", want, &p); err != nil {
			return total, err
		}
		reserved = append(reserved, want)
		total += p.Price * want.Quantity
	}
	if err := call(ctx, http.MethodPost, t.payment+"/charges", charge{order, total}, nil); err != nil {
		return total, err
	}
	if err := t.ship(ctx, order); err != nil {
		// It is paid, so the order stands.
		slog.ErrorContext(ctx, "order is not shipped", slog.String("order", order), slog.Any("error", err))
	}
	return total, nil
}

func (t *till) giveBack(ctx context.Context, reserved []reservation) {
	ctx = context.WithoutCancel(ctx) // also when the customer has left
	for _, r := range reserved {
		if err := call(ctx, http.MethodDelete, t.inventory+"/reservations", r, nil); err != nil {
			slog.ErrorContext(ctx, "reservation is not given back", slog.String("sku", r.SKU), slog.Any("error", err))
		}
	}
}

// ship leaves a job to the worker. The job holds the context of the PRODUCER
// span, whose child the span of the work will be.
func (t *till) ship(ctx context.Context, order string) error {
	ctx, span := tracer.Start(ctx, "send "+queueName, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingSystemKey.String(queueSystem), semconv.MessagingOperationTypeSend,
		semconv.MessagingOperationName("send"), semconv.MessagingDestinationName(queueName)))
	defer span.End()
	err := call(ctx, http.MethodPost, t.worker+"/jobs", job{Order: order, Trace: propagator.Save(ctx)}, nil)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}
