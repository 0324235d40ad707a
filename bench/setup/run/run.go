// Package run is what the compared programs share: the main function around
// their set-up.
package run

import (
	"context"
	"fmt"
	"os"
	"time"
)

// program is what runs between set-up and shutdown, in builds with the tag
// conformance.
var program func(ctx context.Context) error

// Main sets up and prints how many nanoseconds that took, or runs program and
// shuts down. It exits with status 1 when set-up fails.
func Main(setUp func(ctx context.Context) (shutdown func(context.Context) error, err error)) {
	ctx := context.Background()
	begin := time.Now()
	shutdown, err := setUp(ctx)
	took := time.Since(begin)
	if shutdown == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if program == nil {
		fmt.Println(took.Nanoseconds())
		return // nothing was recorded
	}
	if err := program(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
