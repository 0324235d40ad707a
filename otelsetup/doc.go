// Package otelsetup runs OpenTelemetry in a Go program with one call: it reads
// the OTEL_* environment variables and sets up traces, metrics and logs.
//
//	func main() { otelsetup.Main(run) }
//
//	func run(ctx context.Context) error {
//		...
//		srv := &http.Server{Addr: "localhost:8000", Handler: clewhttp.Handler(mux)}
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
// the default applies. [Telemetry.Report] tells what is in effect. The tables
// in docs/environment.md show what each variable does.
//
//	OTEL_SDK_DISABLED              true: nothing is recorded; the context is still passed on
//	OTEL_LOG_LEVEL                 info; what is printed of the SDK's own troubles: none, error, warn, info, debug
//	OTEL_SERVICE_NAME              unknown_service:<executable>
//	OTEL_RESOURCE_ATTRIBUTES       key=value,...
//	OTEL_PROPAGATORS               tracecontext,baggage; b3, b3multi, jaeger, xray, ottrace; or none
//	OTEL_TRACES_SAMPLER            parentbased_always_on; parentbased_ or not, with always_on, always_off, traceidratio,
//	                               probability, adaptive
//	OTEL_TRACES_SAMPLER_ARG        a ratio, 0 to 1, for traceidratio and probability; traces per second for adaptive, or
//	                               a list of traces_per_second=, max_operations=, replicas=, min_probability=, max_probability=
//	OTEL_TRACES_EXPORTER           otlp; or a list of otlp and console; or none
//	OTEL_METRICS_EXPORTER          otlp; or a list of otlp and console; or none
//	OTEL_LOGS_EXPORTER             otlp,console: export and print; otlp: export only; console or none: print only
//	OTEL_EXPORTER_OTLP_*           endpoint, protocol (http/protobuf, http/json), headers, timeout, compression, TLS;
//	                               also with _TRACES, _METRICS and _LOGS
//	OTEL_BSP_*, OTEL_BLRP_*        batches of spans and of log records
//	OTEL_METRIC_EXPORT_*           interval and timeout
//	OTEL_METRICS_EXEMPLAR_FILTER   trace_based; always_on, always_off
//	OTEL_CONFIG_FILE               a file in place of all variables; needs the import of otelsetup/configfile
//	OTEL_SPAN_*, OTEL_ATTRIBUTE_*, OTEL_EVENT_*, OTEL_LINK_*, OTEL_LOGRECORD_*
//	                               limits
//
// More values come with the packages below this one, which are imported for
// their side effects, and with what a program registers by [RegisterSampler]
// and its siblings.
package otelsetup
