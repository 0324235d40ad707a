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
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
)

const (
	queueName   = "shipments"
	queueSystem = "shop" // the semantic conventions have no name for a queue inside a program
	queueSize   = 1000
	maxAttempts = 3
)

// job is an order to ship, with the trace context of the one who gave it.
type job struct {
	Order   string           `json:"order"`
	Trace   propagator.Saved `json:"trace"`
	added   time.Time
	attempt int
}

// shipping is the worker: a queue, and those who take jobs from it.
type shipping struct {
	faults *faultSwitch
	queue  chan job
}

func worker(flags *flag.FlagSet) func(context.Context) error {
	addr := flags.String("addr", "localhost:8004", "`address` to listen on")
	hands := flags.Int("hands", 4, "`number` of jobs that are worked on at a time")
	return func(ctx context.Context) error {
		faults, err := newFaultSwitch()
		if err != nil {
			return err
		}
		s := &shipping{faults: faults, queue: make(chan job, queueSize)}
		_, err = meter.Int64ObservableGauge("shop.queue.length", metric.WithUnit("{job}"),
			metric.WithDescription("Jobs that wait in the queue."),
			metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
				o.Observe(int64(len(s.queue)))
				return nil
			}))
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.HandleFunc("POST /jobs", s.accept)
		mux.Handle(faultPath, faults)

		ctx, stop := context.WithCancel(ctx)
		var working sync.WaitGroup
		for range *hands {
			working.Go(func() { s.work(ctx) })
		}
		err = serve(ctx, *addr, mux)
		stop()
		working.Wait()
		if left := len(s.queue); left > 0 {
			slog.Warn("jobs are lost, the queue is in memory", slog.Int("jobs", left))
		}
		return err
	}
}

func (s *shipping) accept(w http.ResponseWriter, r *http.Request) {
	var j job
	if !receive(w, r, &j) {
		return
	}
	j.added = time.Now()
	if !s.put(j) {
		slog.ErrorContext(r.Context(), "queue is full", slog.String("order", j.Order))
		http.Error(w, "queue is full", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (s *shipping) put(j job) bool {
	select {
	case s.queue <- j:
		return true
	default:
		return false
	}
}

// work takes jobs until ctx ends. One that has begun is finished.
func (s *shipping) work(ctx context.Context) {
	for {
		select {
		case j := <-s.queue:
			s.process(context.WithoutCancel(ctx), j)
		case <-ctx.Done():
			return
		}
	}
}

// process makes one attempt. It continues the trace of the order, so that whoever
// keeps the order keeps what became of it.
func (s *shipping) process(ctx context.Context, j job) {
	j.attempt++
	ctx, span := tracer.Start(j.Trace.Context(ctx), "process "+queueName, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingSystemKey.String(queueSystem), semconv.MessagingOperationTypeProcess,
		semconv.MessagingOperationName("process"), semconv.MessagingDestinationName(queueName),
		attribute.String("shop.order", j.Order), attribute.Int("shop.attempt", j.attempt),
		attribute.Float64("shop.queue.wait", time.Since(j.added).Seconds())))
	defer span.End()
	log := slog.With(slog.String("order", j.Order), slog.Int("attempt", j.attempt))
	err := s.ship(ctx)
	if err == nil {
		log.InfoContext(ctx, "order shipped")
		return
	}
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	if j.attempt < maxAttempts && s.put(j) {
		log.WarnContext(ctx, "shipping failed, will be tried again", slog.Any("error", err))
	} else {
		log.ErrorContext(ctx, "shipping failed", slog.Any("error", err))
	}
}

func (s *shipping) ship(ctx context.Context) error {
	if err := step(ctx, "pack", 60*time.Millisecond); err != nil {
		return err
	}
	if err := s.faults.strike(ctx, "no carrier available"); err != nil {
		return err
	}
	return step(ctx, "send confirmation", 25*time.Millisecond)
}

func step(ctx context.Context, name string, typical time.Duration) error {
	ctx, span := tracer.Start(ctx, name)
	defer span.End()
	return work(ctx, typical)
}
