// Command schedule does the same piece of work again and again. Each run is a
// trace of its own.
//
//	OTEL_SERVICE_NAME=prices go run ./examples/schedule -every 5s -url http://localhost:8000/
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("prices")

func main() {
	every := flag.Duration("every", time.Minute, "`interval` between the starts of two runs")
	timeout := flag.Duration("timeout", 30*time.Second, "`limit` of a run")
	url := flag.String("url", "http://localhost:8000/", "`URL` to load prices from")
	runs := flag.Int("runs", 0, "`number` of runs before the program ends; 0 runs until it is interrupted")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		// A span that lasts as long as the program would be the parent of all
		// runs, and be exported when it is over.
		return schedule(ctx, *every, *runs, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, *timeout)
			defer cancel()
			return loadPrices(ctx, *url)
		})
	})
}

// schedule calls work at each tick until ctx is done. A run that takes longer
// than the interval skips ticks; two runs never overlap. A failed run is
// recorded, and the next one takes place.
func schedule(ctx context.Context, every time.Duration, runs int, work func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for n := 1; ; n++ {
		runOnce(ctx, n, work)
		if n == runs {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// runOnce makes a root span, whatever ctx holds. Without that option, a schedule
// that a request has started would put each run into that request's trace.
func runOnce(ctx context.Context, n int, work func(context.Context) error) {
	ctx, span := tracer.Start(ctx, "load-prices", trace.WithNewRoot(),
		trace.WithAttributes(attribute.Int("app.run", n)))
	defer span.End()
	if err := work(ctx); err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		slog.ErrorContext(ctx, "run failed", slog.Int("run", n), slog.Any("error", err))
		return
	}
	slog.InfoContext(ctx, "run done", slog.Int("run", n))
}

func loadPrices(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}
