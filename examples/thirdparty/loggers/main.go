// Command loggers is a program whose logger is logrus, zap or zerolog: what it
// prints has the ids of the span, and the same lines are exported.
//
//	go run ./loggers -logger zap
//
// The lines of log/slog have both without a bridge: see examples/logs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/otelsetup"
)

var (
	tracer     = otel.Tracer("loggers")
	errSoldOut = errors.New("sold out")
)

func main() {
	name := flag.String("logger", "logrus", "logrus, zap or zerolog")
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		// The bridges take the global logger provider, so they are made here, after Start.
		switch *name {
		case "logrus":
			return orderWithLogrus(ctx, newLogrus())
		case "zap":
			return orderWithZap(ctx, newZap())
		case "zerolog":
			return orderWithZerolog(ctx, newZerolog())
		}
		return fmt.Errorf("-logger=%s: want logrus, zap or zerolog", *name)
	})
}
