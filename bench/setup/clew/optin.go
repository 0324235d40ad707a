//go:build conformance

package main

// What autoexport links always. The size is measured without.
import (
	_ "github.com/clewtrace/clew/contrib/jaegerremote"
	_ "github.com/clewtrace/clew/contrib/zipkin"
	_ "github.com/clewtrace/clew/otelsetup/clientcert"
	_ "github.com/clewtrace/clew/otelsetup/configfile"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
	_ "github.com/clewtrace/clew/otelsetup/prometheus"
)
