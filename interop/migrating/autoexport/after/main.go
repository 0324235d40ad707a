// Command after keeps its own main function: Start and Shutdown instead of Main.
package main

import (
	"context"
	"log"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/otelsetup"
)

// begin
func main() {
	ctx := context.Background()
	telemetry, err := otelsetup.Start(ctx)
	if err != nil {
		log.Fatal(err) // another Telemetry is running
	}

	work(ctx)

	if err := telemetry.Shutdown(ctx); err != nil { // at most 5 s
		log.Print(err)
	}
}

// end

func work(ctx context.Context) {
	_, span := otel.Tracer("migrating").Start(ctx, "work")
	span.End()
}
