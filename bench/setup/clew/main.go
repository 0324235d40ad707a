// Clew sets telemetry up with otelsetup.
package main

import (
	"context"

	"github.com/clewtrace/clew/bench/setup/run"
	"github.com/clewtrace/clew/otelsetup"
)

func main() { run.Main(setUp) }

// begin set-up
func setUp(ctx context.Context) (shutdown func(context.Context) error, err error) {
	telemetry, err := otelsetup.Start(ctx)
	return telemetry.Shutdown, err
}

// end set-up
