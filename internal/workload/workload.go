// Package workload is a program that records a bit of everything, for the tests
// and benchmarks that compare ways to set telemetry up. It imports the OpenTelemetry
// API alone, so that it runs over any set-up.
package workload

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The variables that steer the program.
const (
	TargetEnv = "CONFORMANCE_TARGET" // a URL to get
	HoldEnv   = "CONFORMANCE_HOLD"   // run until standard input ends
	SpansEnv  = "CONFORMANCE_SPANS"  // a number of further spans
	ScrapeEnv = "CONFORMANCE_SCRAPE" // a URL whose content is printed
)

// The remote parents that [Run] continues.
const (
	SampledParent   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"
	UnsampledParent = "00-0af7651916cd43dd8448eb211c80319d-b7ad6b7169203332-02"
)

// Run records a bit of everything: a root span "work" with two attributes,
// events and links, a span "continued" in a sampled and a span "skipped" in an
// unsampled trace, a request, a log record, a counter and a histogram.
func Run(ctx context.Context, target string) error {
	tracer, meter := otel.Tracer("conformance"), otel.Meter("conformance")
	two := []attribute.KeyValue{attribute.String("a", "0123456789"), attribute.String("b", "0123456789")}
	event, link := trace.WithAttributes(two...), trace.Link{
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
		Attributes:  two,
	}
	workCtx, work := tracer.Start(ctx, "work", trace.WithAttributes(two...), trace.WithLinks(link, link))
	work.AddEvent("first", event)
	work.AddEvent("second", event)
	slog.InfoContext(workCtx, "hello", "a", "0123456789", "b", "0123456789")
	counter, err := meter.Int64Counter("orders")
	if err != nil {
		return err
	}
	counter.Add(workCtx, 1)
	histogram, err := meter.Float64Histogram("duration")
	if err != nil {
		return err
	}
	histogram.Record(workCtx, 1)
	histogram.Record(ctx, 7) // another bucket, and so another exemplar
	work.End()

	_, skipped := tracer.Start(remote(ctx, UnsampledParent), "skipped")
	skipped.End()
	continuedCtx, continued := tracer.Start(remote(ctx, SampledParent), "continued")
	if err := get(continuedCtx, target); err != nil {
		return err
	}
	continued.End()
	n, _ := strconv.Atoi(os.Getenv(SpansEnv)) //nolint:errcheck // 0 if it is not set
	for range n {
		_, span := tracer.Start(ctx, "further")
		span.End()
	}
	if url := os.Getenv(ScrapeEnv); url != "" {
		return scrape(ctx, url)
	}
	if os.Getenv(HoldEnv) != "" {
		fmt.Println("done")
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return err
}

func remote(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

// get sends a request with baggage.
func get(ctx context.Context, url string) error {
	bag, err := baggage.Parse("user=alice")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(baggage.ContextWithBaggage(ctx, bag), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func scrape(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
