// Command jobs stores webhooks in a file and delivers them later, in another
// process.
//
//	OTEL_SERVICE_NAME=web go run ./jobs add http://localhost:8000/
//	OTEL_SERVICE_NAME=worker go run ./jobs work
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/propagator"
)

var tracer = otel.Tracer("jobs")

func main() {
	path := flag.String("db", "jobs.db", "`file` that holds the jobs")
	sameTrace := flag.Bool("continue", false, "work inside the trace that the job comes from, instead of a new one with a link to it")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) (err error) {
		q, err := openQueue(*path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, q.db.Close()) }()
		switch command := flag.Arg(0); command {
		case "add":
			return add(ctx, q, flag.Args()[1:])
		case "work":
			return work(ctx, q, *sameTrace)
		default:
			return fmt.Errorf("command %q: want add URL... or work", command)
		}
	})
}

func add(ctx context.Context, q queue, urls []string) error {
	for _, url := range urls {
		if err := addOne(ctx, q, url); err != nil {
			return err
		}
	}
	return nil
}

// addOne saves the context of its producer span with the job: that is the span
// that the worker continues or links to.
func addOne(ctx context.Context, q queue, url string) error {
	ctx, span := tracer.Start(ctx, "send webhooks", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
		semconv.MessagingOperationTypeSend, semconv.MessagingDestinationName("webhooks")))
	defer span.End()
	slog.InfoContext(ctx, "storing", slog.String("url", url))
	return fail(ctx, q.add(job{URL: url, Added: time.Now(), Trace: propagator.Save(ctx)}))
}

// work tries each job once. A job is removed when it is done, so a worker that
// dies has another one do it again; a job that failed is there for the next run.
func work(ctx context.Context, q queue, sameTrace bool) error {
	var id uint64
	for ctx.Err() == nil {
		next, j, found, err := q.next(id)
		if err != nil || !found {
			return err
		}
		id = next
		j.Attempts++
		if process(ctx, j, sameTrace) == nil {
			err = q.remove(id)
		} else {
			err = q.replace(id, j)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// process makes a consumer span, in the trace that the job comes from or in a new
// one that links to it. With a link, the worker samples for itself, and a job that
// has waited for a day does not make a trace that lasts a day.
func process(ctx context.Context, j job, sameTrace bool) error {
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		semconv.MessagingOperationTypeProcess, semconv.MessagingDestinationName("webhooks"),
		attribute.Int("app.attempt", j.Attempts), attribute.Float64("app.waited_seconds", time.Since(j.Added).Seconds()))}
	if sameTrace {
		ctx = j.Trace.Context(ctx)
	} else {
		opts = append(opts, trace.WithLinks(j.Trace.Link()))
	}
	ctx, span := tracer.Start(ctx, "process webhooks", opts...)
	defer span.End()
	return fail(ctx, deliver(ctx, j.URL))
}

func deliver(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	slog.InfoContext(ctx, "delivered", slog.String("url", url))
	return nil
}

// fail records err, if there is one, on the span in ctx.
func fail(ctx context.Context, err error) error {
	if err != nil {
		span := trace.SpanFromContext(ctx)
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(ctx, "failed", slog.Any("error", err))
	}
	return err
}
