// Clew sets telemetry up with otelsetup.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/clewtrace/clew/otelsetup"
)

func main() {
	ctx := context.Background()
	begin := time.Now()
	// begin set-up
	telemetry, err := otelsetup.Start(ctx)
	// end set-up
	took := time.Since(begin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(took.Nanoseconds())
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond) // no collector is there to wait for
	defer cancel()
	telemetry.Shutdown(ctx) //nolint:errcheck // nothing was recorded
}
