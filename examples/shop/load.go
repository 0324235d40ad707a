package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const (
	ratePath    = "/rate"
	maxVisitors = 500 // at a time; who comes then is turned away
)

// swing is what the rate is multiplied by, in turn.
var swing = []float64{1, 2, 1, 0.5}

// street is where customers come from. They come at a rate, whether or not those
// before them have been served.
type street struct {
	checkout string        // URL
	buyers   float64       // share of the visits
	every    time.Duration // of swing
	rate     atomic.Uint64 // visits per second, as math.Float64bits
	turned   metric.Int64Counter

	visitors chan struct{}
	visiting sync.WaitGroup
}

func load(flags *flag.FlagSet) func(context.Context) error {
	s := &street{visitors: make(chan struct{}, maxVisitors)}
	addr := flags.String("addr", "localhost:8005", "`address` for the health check, and for PUT /rate")
	rate := flags.Float64("rate", 2, "`visits` per second")
	visits := flags.Int("visits", 0, "`number` of visits before the program ends; 0 runs until it is interrupted")
	flags.StringVar(&s.checkout, "checkout", "http://localhost:8001", "`URL` of the checkout")
	flags.Float64Var(&s.buyers, "buyers", 0.75, "`share` of the visits that buy something, 0 to 1")
	flags.DurationVar(&s.every, "swing", 0, "`time` after which the rate doubles, then falls back, halves, and rises again; 0 keeps it")
	return func(ctx context.Context) error {
		if err := s.setRate(*rate); err != nil {
			return err
		}
		var err error
		s.turned, err = meter.Int64Counter("shop.load.turned_away", metric.WithUnit("{visit}"),
			metric.WithDescription("Visits that did not take place, because too many had not ended."))
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.Handle(ratePath, s)
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		served := make(chan error, 1)
		go func() { served <- serve(ctx, *addr, mux); stop() }()
		s.open(ctx, *visits)
		stop()
		return <-served
	}
}

func (s *street) setRate(rate float64) error {
	if !(rate > 0 && rate <= 10_000) {
		return fmt.Errorf("rate %v: must be more than 0 and at most 10000 visits per second", rate)
	}
	s.rate.Store(math.Float64bits(rate))
	return nil
}

// ServeHTTP shows the rate, and sets it by PUT.
func (s *street) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		rate, parseErr := strconv.ParseFloat(strings.TrimSpace(string(body)), 64)
		if err := errors.Join(err, parseErr); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := s.setRate(rate); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	fmt.Fprintln(w, math.Float64frombits(s.rate.Load()))
}

// open lets visitors come until ctx ends, and then waits for those who are there:
// a visit that has begun goes on to its end.
func (s *street) open(ctx context.Context, visits int) {
	defer s.visiting.Wait()
	opened := time.Now()
	last := opened
	for n := 0; visits == 0 || n < visits; n++ {
		s.visit(context.WithoutCancel(ctx))
		for {
			rate := s.rateAfter(time.Since(opened))
			next := last.Add(time.Duration(float64(time.Second) / rate))
			wait := time.Until(next)
			if wait <= 0 {
				last = next
				break
			}
			if pause(ctx, min(wait, time.Second)) != nil { // the rate may change meanwhile
				return
			}
		}
	}
}

func (s *street) rateAfter(open time.Duration) float64 {
	rate := math.Float64frombits(s.rate.Load())
	if s.every > 0 {
		rate *= swing[int(open/s.every)%len(swing)]
	}
	return rate
}

// visit begins a visit.
func (s *street) visit(ctx context.Context) {
	select {
	case s.visitors <- struct{}{}:
	default:
		s.turned.Add(ctx, 1)
		return
	}
	s.visiting.Go(func() {
		defer func() { <-s.visitors }()
		if rand.Float64() < s.buyers {
			s.trace(ctx, "buy", s.buy)
		} else {
			s.trace(ctx, "browse", s.browse)
		}
	})
}

// trace makes the span of a visit. An order that the shop refuses is no error.
func (s *street) trace(ctx context.Context, name string, visit func(context.Context) error) {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	err := visit(ctx)
	var answer *statusError
	switch {
	case err == nil:
	case errors.As(err, &answer) && answer.Code < http.StatusInternalServerError:
		slog.InfoContext(ctx, "visit ends without order", slog.String("reason", answer.Message))
	default:
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(ctx, "visit failed", slog.Any("error", err))
	}
}

func (s *street) browse(ctx context.Context) error {
	return call(ctx, http.MethodGet, s.checkout+"/products", nil, nil)
}

func (s *street) buy(ctx context.Context) error {
	var products []product
	if err := call(ctx, http.MethodGet, s.checkout+"/products", nil, &products); err != nil {
		return err
	}
	if len(products) == 0 {
		return errors.New("there is nothing to buy")
	}
	cart := s.checkout + "/carts/" + crand.Text()
	for range 1 + rand.IntN(3) {
		sku := products[rand.IntN(len(products))].SKU
		if err := call(ctx, http.MethodPut, cart+"/items/"+sku, nil, nil); err != nil {
			return err
		}
	}
	var placed struct {
		Order string `json:"order"`
		Total int    `json:"total"`
	}
	if err := call(ctx, http.MethodPost, cart+"/order", nil, &placed); err != nil {
		return err
	}
	trace.SpanFromContext(ctx).SetAttributes(attribute.String("shop.order", placed.Order))
	slog.InfoContext(ctx, "bought", slog.String("order", placed.Order), slog.Int("total", placed.Total))
	return nil
}
