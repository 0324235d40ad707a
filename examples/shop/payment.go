package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// charge is a request to take money. Amounts are in cents.
type charge struct {
	Order  string `json:"order"`
	Amount int    `json:"amount"`
}

// cardLimit is what a customer's card is good for.
const cardLimit = 50000

func payment(flags *flag.FlagSet) func(context.Context) error {
	addr := flags.String("addr", "localhost:8003", "`address` to listen on")
	return func(ctx context.Context) error {
		faults, err := newFaultSwitch()
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /charges", func(w http.ResponseWriter, r *http.Request) { pay(w, r, faults) })
		mux.Handle(faultPath, faults)
		return serve(ctx, *addr, mux)
	}
}

// pay answers with 402 if the bank says no, which is no failure of this service,
// and with 503 if it says nothing.
func pay(w http.ResponseWriter, r *http.Request, faults *faultSwitch) {
	ctx := r.Context()
	var c charge
	if !receive(w, r, &c) {
		return
	}
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("shop.order", c.Order), attribute.Int("shop.amount", c.Amount))
	if err := authorize(ctx, faults); err != nil {
		slog.ErrorContext(ctx, "charge failed", slog.String("order", c.Order), slog.Any("error", err))
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if c.Amount > cardLimit {
		slog.WarnContext(ctx, "card declined", slog.String("order", c.Order), slog.Int("amount", c.Amount))
		http.Error(w, "card declined", http.StatusPaymentRequired)
		return
	}
	slog.InfoContext(ctx, "charged", slog.String("order", c.Order), slog.Int("amount", c.Amount))
	w.WriteHeader(http.StatusCreated)
}

// authorize takes the time that a bank would take to answer.
func authorize(ctx context.Context, faults *faultSwitch) error {
	ctx, span := tracer.Start(ctx, "authorize card")
	defer span.End()
	err := work(ctx, 40*time.Millisecond)
	if err == nil {
		err = faults.strike(ctx, "bank does not answer")
	}
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}
