// Package otelsetup runs OpenTelemetry in a Go program with one call: it reads
// the OTEL_* environment variables and sets up traces, metrics and logs.
//
//	func main() { otelsetup.Main(run) }
//
//	func run(ctx context.Context) error {
//		...
//		srv := &http.Server{Addr: "localhost:8000", Handler: otelsetup.Handler(mux)}
//		...
//	}
//
// [Main] takes care of signals, panics and the last flush; a program that has
// its own main loop calls [Start] and [Telemetry.Shutdown].
//
// # What is set up
//
//   - Traces, metrics and logs are sent over OTLP/HTTP to
//     OTEL_EXPORTER_OTLP_ENDPOINT, http://localhost:4318 if it is not set.
//   - The trace context travels as W3C Trace Context Level 2 and Baggage, read
//     and written by package propagator.
//   - Root spans carry the random flag.
//   - Records of log/slog and log are printed and exported, each with the ids
//     of the span that is active in its context.
//   - Requests over [http.DefaultTransport], which http.Get, http.DefaultClient
//     and every client without a transport of its own use, make client spans.
//   - Go runtime metrics are recorded.
//
// # Variables
//
// A value that cannot be used is reported by [Start], as an [*EnvError], and
// the default applies.
//
//	OTEL_SDK_DISABLED              true: nothing is recorded; the context is still passed on
//	OTEL_SERVICE_NAME              unknown_service:<executable>
//	OTEL_RESOURCE_ATTRIBUTES       key=value,...
//	OTEL_PROPAGATORS               tracecontext,baggage; or none
//	OTEL_TRACES_SAMPLER            parentbased_always_on; parentbased_ or not, with always_on, always_off, traceidratio
//	OTEL_TRACES_SAMPLER_ARG        1; ratio for traceidratio, 0 to 1
//	OTEL_TRACES_EXPORTER           otlp; or a list of otlp and console; or none
//	OTEL_METRICS_EXPORTER          otlp; or a list of otlp and console; or none
//	OTEL_LOGS_EXPORTER             otlp,console: export and print; otlp: export only; console or none: print only
//	OTEL_EXPORTER_OTLP_*           endpoint, protocol (http/protobuf), headers, timeout, compression, TLS;
//	                               also with _TRACES, _METRICS and _LOGS
//	OTEL_BSP_*, OTEL_BLRP_*        batches of spans and of log records
//	OTEL_METRIC_EXPORT_*           interval and timeout
//	OTEL_SPAN_*, OTEL_ATTRIBUTE_*, OTEL_EVENT_*, OTEL_LINK_*, OTEL_LOGRECORD_*
//	                               limits, read by the SDK
package otelsetup
