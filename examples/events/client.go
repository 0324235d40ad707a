package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

func publish(ctx context.Context, url, text string) error {
	ctx, span := tracer.Start(ctx, "send event", trace.WithSpanKind(trace.SpanKindProducer))
	defer span.End()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// subscribe handles count events. The stream is in the subscriber's trace; each
// event is in its publisher's.
func subscribe(ctx context.Context, url string, count int) error {
	ctx, span := tracer.Start(ctx, "subscribe")
	defer span.End()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	slog.InfoContext(ctx, "subscribed")

	handled := 0
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 8*maxText) // JSON may take six bytes for one, and holds the trace context as well
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			slog.WarnContext(ctx, "not an event", slog.Any("error", err))
			continue
		}
		handle(ctx, e)
		if handled++; handled == count {
			return nil
		}
	}
	return lines.Err()
}

// handle continues the publisher's trace and links to the stream that the event
// came over. The other way round, a stream that stays open for a day would be
// one trace of a day's events.
func handle(stream context.Context, e event) {
	ctx, span := tracer.Start(e.Trace.Context(stream), "process event",
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.LinkFromContext(stream)))
	defer span.End()
	slog.InfoContext(ctx, "event", slog.String("text", e.Text))
}
