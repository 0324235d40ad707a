package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// product is what the shop sells. Prices are in cents.
type product struct {
	SKU   string `json:"sku"`
	Price int    `json:"price"`
}

var products = []product{
	{"candle", 490}, {"mug", 990}, {"plate", 1490}, {"lamp", 4990}, {"chair", 8900}, {"table", 24900},
}

// reservation is a request to keep goods for an order.
type reservation struct {
	Order    string `json:"order"`
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// delivery is how much of a product arrives when it is sold out.
const delivery = 200

// stockroom is the inventory service. Its "database" is a map and some waiting.
type stockroom struct {
	faults *faultSwitch

	mu   sync.Mutex
	left map[string]int
}

func inventory(flags *flag.FlagSet) func(context.Context) error {
	addr := flags.String("addr", "localhost:8002", "`address` to listen on")
	return func(ctx context.Context) error {
		faults, err := newFaultSwitch()
		if err != nil {
			return err
		}
		s := &stockroom{faults: faults, left: make(map[string]int)}
		for _, p := range products {
			s.left[p.SKU] = delivery
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET /products", s.list)
		mux.HandleFunc("POST /reservations", s.reserve)
		mux.HandleFunc("DELETE /reservations", s.release)
		mux.Handle(faultPath, faults)
		return serve(ctx, *addr, mux)
	}
}

func (s *stockroom) list(w http.ResponseWriter, r *http.Request) {
	if err := s.query(r.Context(), "SELECT", "SELECT sku, price FROM products", 3*time.Millisecond); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	reply(w, http.StatusOK, products)
}

// reserve answers with the product, or 409 if there is not enough of it.
func (s *stockroom) reserve(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var want reservation
	if !receive(w, r, &want) {
		return
	}
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("shop.sku", want.SKU))
	if err := s.query(ctx, "UPDATE", "UPDATE products SET reserved = reserved + $1 WHERE sku = $2", 6*time.Millisecond); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, p := range products {
		if p.SKU != want.SKU {
			continue
		}
		if !s.take(want) {
			slog.WarnContext(ctx, "sold out", slog.String("sku", want.SKU))
			http.Error(w, want.SKU+" is sold out", http.StatusConflict)
			return
		}
		slog.InfoContext(ctx, "reserved", slog.String("sku", want.SKU), slog.Int("quantity", want.Quantity))
		reply(w, http.StatusCreated, p)
		return
	}
	http.Error(w, "no such product: "+want.SKU, http.StatusNotFound)
}

// take orders new goods when there were not enough.
func (s *stockroom) take(want reservation) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left[want.SKU] < want.Quantity {
		s.left[want.SKU] += delivery
		return false
	}
	s.left[want.SKU] -= want.Quantity
	return true
}

func (s *stockroom) release(w http.ResponseWriter, r *http.Request) {
	var back reservation
	if !receive(w, r, &back) {
		return
	}
	if err := s.query(r.Context(), "UPDATE", "UPDATE products SET reserved = reserved - $1 WHERE sku = $2", 4*time.Millisecond); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	s.left[back.SKU] += back.Quantity
	s.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// query takes the time of a query to a database. The span is INTERNAL, as the semantic
// conventions, "Database Client Spans", say of databases in memory.
func (s *stockroom) query(ctx context.Context, operation, text string, typical time.Duration) error {
	ctx, span := tracer.Start(ctx, operation+" products", trace.WithAttributes(
		semconv.DBSystemNameKey.String("other_sql"), semconv.DBOperationName(operation),
		semconv.DBCollectionName("products"), semconv.DBQueryText(text)))
	defer span.End()
	err := work(ctx, typical)
	if err == nil {
		err = s.faults.strike(ctx, "deadlock detected")
	}
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(ctx, "query failed", slog.String("query", text), slog.Any("error", err))
	}
	return err
}
