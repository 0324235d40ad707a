// Package otelsetup runs OpenTelemetry in a Go program with one call: it reads
// the OTEL_* environment variables and sets up traces, metrics and logs.
//
//	func main() { otelsetup.Main(run) }
//
//	func run(ctx context.Context) error {
//		mux := http.NewServeMux()
//		...
//		return otelsetup.Serve(ctx, &http.Server{Addr: ":8000", Handler: clewhttp.Handler(mux)})
//	}
//
// A program with a main loop of its own calls [Start] and [Telemetry.Shutdown].
// All variables, their values and defaults are in docs/environment.md; what
// other packages add to them is registered with package extend.
package otelsetup
