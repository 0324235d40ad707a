// Command serviceclient asks an inventory service for the stock of some
// articles, through a client type that traces each of its calls.
//
//	OTEL_SERVICE_NAME=shop go run ./examples/serviceclient -url http://localhost:8000 tea coffee
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("shop")

func main() {
	base := flag.String("url", "http://localhost:8000", "`URL` of the inventory service")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error { return run(ctx, *base, flag.Args()) })
}

// run is one unit of work, so all its calls are in one trace.
func run(ctx context.Context, base string, articles []string) error {
	ctx, span := tracer.Start(ctx, "take-stock")
	defer span.End()
	inventory := newInventory(base)
	var errs []error
	for _, article := range articles {
		n, err := inventory.Stock(ctx, article)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		slog.InfoContext(ctx, "in stock", slog.String("article", article), slog.Int("count", n))
	}
	return errors.Join(errs...)
}

// inventory is the client of the inventory service. It is safe for concurrent
// use.
type inventory struct {
	base string
	http *http.Client
}

// newInventory gives the client a transport of its own, with limits that suit
// the service; that is why clewhttp.Transport is called here. A client on
// http.DefaultTransport would be traced without it.
func newInventory(base string) *inventory {
	transport := &http.Transport{MaxConnsPerHost: 10, ResponseHeaderTimeout: 2 * time.Second}
	return &inventory{base: base, http: &http.Client{Transport: clewhttp.Transport(transport)}}
}

const attempts = 3

var errBusy = errors.New("inventory is busy")

// Stock returns how many of the article there are. Its span stands for the call
// as the caller sees it; below it, each attempt has a client span of its own.
func (c *inventory) Stock(ctx context.Context, article string) (n int, err error) {
	ctx, span := tracer.Start(ctx, "inventory.Stock", trace.WithAttributes(attribute.String("app.article", article)))
	defer span.End()
	defer func() {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			slog.ErrorContext(ctx, "stock is unknown", slog.String("article", article), slog.Any("error", err))
		}
	}()
	for attempt := 1; ; attempt++ {
		n, err = c.get(ctx, article)
		if !errors.Is(err, errBusy) || attempt == attempts {
			return n, err
		}
		slog.WarnContext(ctx, "trying again", slog.Int("attempt", attempt), slog.Any("error", err))
		select {
		case <-time.After(time.Duration(attempt) * 10 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func (c *inventory) get(ctx context.Context, article string) (n int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/stock/"+url.PathEscape(article), http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		return n, json.NewDecoder(resp.Body).Decode(&n)
	case http.StatusServiceUnavailable:
		return 0, errBusy
	default:
		return 0, fmt.Errorf("inventory answered %s for %q", resp.Status, article)
	}
}
