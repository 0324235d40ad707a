// Command fanout asks several servers the same question at once, takes the first
// answer and cancels the other calls.
//
//	OTEL_SERVICE_NAME=search go run ./examples/fanout http://localhost:8000/ http://localhost:8001/
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("search")

func main() {
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		answer, err := askAll(ctx, flag.Args())
		if err == nil {
			fmt.Print(answer)
		}
		return err
	})
}

// errAnswered is why calls are cancelled.
var errAnswered = errors.New("another server answered first")

// askAll returns the first answer. It waits for the calls that it cancels: their
// spans end before the span above them does, and so none is missing or late.
func askAll(ctx context.Context, urls []string) (answer string, err error) {
	ctx, span := tracer.Start(ctx, "ask-all")
	defer span.End()
	calls, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var (
		wg       sync.WaitGroup
		first    sync.Once
		failures = make([]error, len(urls))
	)
	for i, url := range urls {
		wg.Go(func() {
			got, err := ask(calls, url)
			failures[i] = err
			if err == nil {
				first.Do(func() {
					cancel(errAnswered)
					answer = got
					span.SetAttributes(attribute.String("app.answered_by", url))
				})
			}
		})
	}
	wg.Wait()
	if context.Cause(calls) == errAnswered { //nolint:errorlint // set above, never wrapped
		slog.InfoContext(ctx, "answered")
		return answer, nil
	}
	err = fmt.Errorf("none of %d servers answered: %w", len(urls), errors.Join(failures...))
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	return "", err
}

// ask records on its span how the call ended. A call that failed is an error; one
// that was cancelled because it was no longer needed is none, and has an attribute
// that says so. The client span below it says "context canceled" for both.
func ask(ctx context.Context, url string) (answer string, err error) {
	ctx, span := tracer.Start(ctx, "ask")
	defer span.End()
	defer func() {
		switch {
		case err == nil:
		case errors.Is(context.Cause(ctx), errAnswered):
			span.SetAttributes(attribute.Bool("app.cancelled", true))
		default:
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			slog.WarnContext(ctx, "no answer", slog.String("url", url), slog.Any("error", err))
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answered %s", url, resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
