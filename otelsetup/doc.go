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
// What is exported by OTLP is sent by package delivery, which keeps it through
// restarts and outages of the collector. OTLP over gRPC needs the import of package
// otlpgrpc, and a client certificate that of clientcert.
//
// A program with a main loop of its own calls [Start] and [Telemetry.Shutdown].
// All variables, their values and defaults are in docs/environment.md; what
// other packages add to them is registered with package extend.
package otelsetup
