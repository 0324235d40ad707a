// Command byhand is the same program with tracing in it.
package main

import (
	"context"
	"log"

	"github.com/clewtrace/clew/bench/auto/work"
	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/otelsetup"
)

func main() {
	if _, err := otelsetup.Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	work.Main(clewhttp.Handler(work.Mux()))
}
