// Code generated from examples/client/main.go; DO NOT EDIT.

// Package client is a program of "clew demo".
package client

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("api-client", trace.WithInstrumentationVersion("1.0.0"))

// Main is the program, and does not return.
func Main() {
	url := flag.String("url", "http://localhost:8000/", "`URL` to call")
	every := flag.Duration("every", 0, "`interval` at which to repeat the call until interrupted; 0 calls once")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		if *every > 0 {
			return repeat(ctx, *url, *every)
		}
		return callAPI(ctx, *url)
	})
}

// repeat goes on when a call fails: the next one may not.
func repeat(ctx context.Context, url string, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		_ = callAPI(ctx, url) // logged and recorded there
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func callAPI(ctx context.Context, url string) (err error) {
	ctx, span := tracer.Start(ctx, "call-api")
	defer span.End()
	defer func() {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			slog.ErrorContext(ctx, "Client: API call failed", slog.Any("error", err))
		}
	}()

	slog.InfoContext(ctx, "Client: Starting API call")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req) // traced since Start
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	slog.InfoContext(ctx, "Client: Received response: "+strings.TrimSpace(string(body)))
	span.AddEvent("received_response", trace.WithAttributes(
		attribute.Int("status", resp.StatusCode),
		attribute.Int64("timestamp", time.Now().UnixMilli()),
	))
	return nil
}
