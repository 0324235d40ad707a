// Command shop is a small shop, four services and its customers, with
// something to find in it: payments that fail, queries that are slow.
//
//	go run ./examples/shop all
//
// runs all of it on this machine; docs/shop.md tells what to look for. One at
// a time, each in a terminal of its own:
//
//	OTEL_SERVICE_NAME=inventory go run ./examples/shop inventory
//	OTEL_SERVICE_NAME=payment go run ./examples/shop payment
//	OTEL_SERVICE_NAME=worker go run ./examples/shop worker
//	OTEL_SERVICE_NAME=checkout go run ./examples/shop checkout
//	OTEL_SERVICE_NAME=load go run ./examples/shop load -rate 2
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/health"
	"github.com/clewtrace/clew/otelsetup"
)

var (
	tracer = otel.Tracer("shop")
	meter  = otel.Meter("shop")
)

const usage = `usage: shop checkout|payment|inventory|worker|load [flags]   run one service
       shop all [flags]                                       run all of them here
       shop health URL                                        exit with 0 if the service is healthy
`

// services are the programs in this one. Each adds its flags, and returns what
// is to be run when they are parsed.
var services = map[string]func(*flag.FlagSet) func(context.Context) error{
	"checkout":  checkout,
	"payment":   payment,
	"inventory": inventory,
	"worker":    worker,
	"load":      load,
}

func main() {
	name, args := "", os.Args[1:]
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch service := services[name]; {
	case service != nil:
		flags := flag.NewFlagSet("shop "+name, flag.ExitOnError)
		untilParent := flags.Bool(whileParentRuns, false, "end when standard input does")
		run := service(flags)
		_ = flags.Parse(args) // exits
		otelsetup.Main(func(ctx context.Context) error {
			if *untilParent {
				ctx = untilInputEnds(ctx)
			}
			return run(ctx)
		})
	case name == "all":
		os.Exit(all(args))
	case name == "health" && len(args) == 1:
		health.Exit(strings.TrimSuffix(args[0], "/"))
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
}
