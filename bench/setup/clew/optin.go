//go:build conformance

package main

// What autoexport links always. The size is measured without.
import (
	_ "github.com/clewtrace/clew/otelsetup/configfile"
	_ "github.com/clewtrace/clew/otelsetup/jaegerremote"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
	_ "github.com/clewtrace/clew/otelsetup/prometheus"
	_ "github.com/clewtrace/clew/otelsetup/zipkin"
)
