// Command clew shows distributed traces of Go services.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage: clew <command>

Commands:
  demo   run two example services and print their trace as a tree
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run returns the exit code: 0, 1 when the command failed, 2 for wrong usage,
// 130 when it was interrupted.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	switch {
	case len(args) == 1 && args[0] == "demo":
		if err := demo(ctx, stdout); err != nil {
			if ctx.Err() != nil {
				fmt.Fprintln(stderr, "clew demo: interrupted")
				return 130
			}
			fmt.Fprintln(stderr, "clew demo:", err)
			return 1
		}
		return 0
	case len(args) == 1 && (args[0] == "help" || args[0] == "-h" || args[0] == "--help"):
		fmt.Fprint(stdout, usage)
		return 0
	}
	fmt.Fprint(stderr, usage)
	return 2
}
