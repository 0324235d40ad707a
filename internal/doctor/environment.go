package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
	// What a program could import, so that no name is unknown here.
	_ "github.com/clewtrace/clew/otelsetup/configfile"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc"
	_ "github.com/clewtrace/clew/otelsetup/rulesfile"
)

const (
	protocolProtobuf = "http/protobuf"
	protocolJSON     = "http/json"
	protocolGRPC     = "grpc"

	signalTraces  = "traces"
	signalMetrics = "metrics"
	signalLogs    = "logs"
)

// signals are in the order in which they are tested and told.
var signals = []string{signalTraces, signalMetrics, signalLogs}

// environment is what otelsetup made of the variables.
type environment struct {
	settings []otelsetup.Setting
	sends    []send // in the order of signals
	resource *resource.Resource
}

// send is how one signal is sent.
type send struct {
	otelsetup.OTLP
	protocol string
	env      *environment
}

// setting returns what is in effect for a variable.
func (e *environment) setting(name string) otelsetup.Setting {
	for _, s := range e.settings {
		if s.Name == name {
			return s
		}
	}
	return otelsetup.Setting{Name: name}
}

// variable names the variable to change for an option of a signal: the one that
// is set, or the general one.
func (s send) variable(option string) string {
	const prefix = "OTEL_EXPORTER_OTLP_"
	source := s.env.setting(prefix + strings.ToUpper(s.Signal) + "_" + option).Source
	if source == "" || source == otelsetup.SourceDefault {
		return prefix + option
	}
	return source
}

// resolve has otelsetup read the environment, and notes what it says. Nothing
// is exported by it: the protocols are replaced by ones that remember how they
// would send, and all other exporters are silenced.
func resolve(ctx context.Context, r *Result) *environment {
	env := &environment{}
	for _, name := range []string{protocolProtobuf, protocolJSON, protocolGRPC} {
		p, _ := otelsetup.LookupProtocol(name)
		otelsetup.RegisterProtocol(name, env.remember(name, p))
	}
	registerUntested()
	telemetry, err := otelsetup.Start(ctx, otelsetup.WithoutDefaultTransport(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.CustomizeResource(func(res *resource.Resource) *resource.Resource { env.resource = res; return res }),
		otelsetup.CustomizeSpanExporter(func(sdktrace.SpanExporter) sdktrace.SpanExporter { return discard{} }),
		otelsetup.CustomizeMetricExporter(func(sdkmetric.Exporter) sdkmetric.Exporter { return discardMetrics{} }),
		otelsetup.CustomizeLogExporter(func(sdklog.Exporter) sdklog.Exporter { return discardLogs{} }),
		// A spool belongs to the program, which may be running.
		otelsetup.CustomizeDelivery(func(c delivery.Config) delivery.Config { c.SpoolDir = ""; return c }))
	for _, err := range parts(err) {
		r.problem(err.Error(), cureOf(err))
	}
	if telemetry == nil {
		return env
	}
	slices.SortStableFunc(env.sends, func(a, b send) int { return slices.Index(signals, a.Signal) - slices.Index(signals, b.Signal) })
	env.settings = slices.DeleteFunc(telemetry.Report().Settings, func(s otelsetup.Setting) bool { return s.Source == otelsetup.SourceCode })
	r.Settings = env.settings
	telemetry.Shutdown(ctx) //nolint:errcheck // nothing was recorded
	misspelt(r, os.Environ())
	env.remarks(r)
	return env
}

// registerUntested makes values known that come with packages which the doctor
// has no use for: it does not test what they name.
func registerUntested() {
	otelsetup.RegisterSampler("jaeger_remote", func(context.Context, *otelsetup.Env) (sdktrace.Sampler, error) { return sdktrace.AlwaysSample(), nil })
	otelsetup.RegisterSpanExporter("zipkin", func(context.Context, *otelsetup.Env) (sdktrace.SpanExporter, error) { return discard{}, nil })
	otelsetup.RegisterMetricReader("prometheus", func(context.Context, *otelsetup.Env) (sdkmetric.Reader, error) {
		return sdkmetric.NewManualReader(), nil
	})
}

// remember makes the exporters of a protocol.
func (e *environment) remember(name string, p otelsetup.Protocol) otelsetup.Protocol {
	keep := func(c otelsetup.OTLP) { e.sends = append(e.sends, send{c, name, e}) }
	p.Traces = func(_ context.Context, c otelsetup.OTLP) (sdktrace.SpanExporter, error) {
		keep(c)
		return discard{}, nil
	}
	p.Metrics = func(_ context.Context, c otelsetup.OTLP) (sdkmetric.Exporter, error) {
		keep(c)
		return discardMetrics{}, nil
	}
	p.Logs = func(_ context.Context, c otelsetup.OTLP) (sdklog.Exporter, error) {
		keep(c)
		return discardLogs{}, nil
	}
	return p
}

// parts takes joined errors apart.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only what errors.Join returns as it is
		return joined.Unwrap()
	}
	return []error{err}
}

// cureOf says what to do about an error of Start.
func cureOf(err error) string {
	bad, ok := errors.AsType[*otelsetup.EnvError](err)
	switch {
	case !ok:
		return "correct what the message names, or unset the variable"
	case strings.HasSuffix(bad.Variable, "_ENDPOINT"):
		return "set " + bad.Variable + " to a whole URL such as http://localhost:4318, or unset it"
	case strings.HasSuffix(bad.Variable, "_CERTIFICATE") || strings.HasSuffix(bad.Variable, "_KEY"):
		return "give " + bad.Variable + " the path of a PEM file that this user may read, or unset it"
	default:
		return "change " + bad.Variable + " to what the message accepts, or unset it"
	}
}

// remarks notes what is right and may still surprise.
func (e *environment) remarks(r *Result) {
	if e.setting("OTEL_SDK_DISABLED").Value == "true" {
		r.note("OTEL_SDK_DISABLED=true: nothing is recorded or sent, so nothing was tested; contexts are passed on")
		return
	}
	if name := e.serviceName(); strings.HasPrefix(name, "unknown_service") {
		r.note("OTEL_SERVICE_NAME is not set: the service will be called unknown_service: and the program's name")
	}
	if s := e.setting("OTEL_TRACES_SAMPLER"); strings.HasSuffix(s.Value, "always_off") {
		r.note("OTEL_TRACES_SAMPLER=" + s.Value + ": traces that begin here are not recorded")
	} else if arg := e.setting("OTEL_TRACES_SAMPLER_ARG"); arg.Value == "0" {
		r.note("OTEL_TRACES_SAMPLER_ARG=0: traces that begin here are not recorded")
	}
	for _, signal := range signals {
		variable := "OTEL_" + strings.ToUpper(signal) + "_EXPORTER"
		for exporter := range strings.SplitSeq(e.setting(variable).Value, ",") {
			switch exporter {
			case "otlp", "console", "":
			case "none":
				r.note(variable + "=none: " + signal + " are not exported")
			default:
				r.note(variable + ": " + exporter + " was not tested, only otlp is")
			}
		}
	}
	if os.Getenv("OTEL_CONFIG_FILE") != "" && !slices.ContainsFunc(e.sends, func(s send) bool { return s.Signal == signalMetrics }) {
		r.note("OTEL_CONFIG_FILE: if the file exports metrics, that was not tested")
	}
	for _, needed := range e.imports() {
		r.note(needed)
	}
	for _, s := range e.sends {
		if len(s.Headers) > 0 && s.Endpoint.Scheme == "http" && !isLoopback(s.Endpoint.Hostname()) {
			r.note(fmt.Sprintf("%s: the headers of %s go to %s unencrypted", s.variable("HEADERS"), s.Signal, s.Endpoint.Host))
		}
	}
}

func (e *environment) serviceName() string {
	v, _ := e.resource.Set().Value("service.name")
	return v.AsString()
}

// imports says what a program must import to do what the variables ask for.
func (e *environment) imports() []string {
	const path = "github.com/clewtrace/clew/"
	var needed []string
	add := func(variable, value, pkg string) {
		needed = append(needed, variable+"="+value+" needs the program to import "+path+pkg)
	}
	if file := os.Getenv("OTEL_CONFIG_FILE"); file != "" {
		add("OTEL_CONFIG_FILE", file, "otelsetup/configfile")
		return needed // which brings what its file can name
	}
	if slices.ContainsFunc(e.sends, func(s send) bool { return s.protocol == protocolGRPC }) {
		add("OTEL_EXPORTER_OTLP_PROTOCOL", protocolGRPC, "otelsetup/otlpgrpc")
	}
	if strings.Contains(e.setting("OTEL_TRACES_EXPORTER").Value, "zipkin") {
		add("OTEL_TRACES_EXPORTER", "zipkin", "contrib/zipkin")
	}
	if strings.Contains(e.setting("OTEL_METRICS_EXPORTER").Value, "prometheus") {
		add("OTEL_METRICS_EXPORTER", "prometheus", "otelsetup/prometheus")
	}
	sampler := e.setting("OTEL_TRACES_SAMPLER").Value
	for name, pkg := range map[string]string{"jaeger_remote": "contrib/jaegerremote", "rules": "otelsetup/rulesfile"} {
		if strings.TrimPrefix(sampler, "parentbased_") == name {
			add("OTEL_TRACES_SAMPLER", sampler, pkg)
		}
	}
	return needed
}

// discard exports nothing.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

type discardLogs struct{ discard }

func (discardLogs) Export(context.Context, []sdklog.Record) error { return nil }
func (discardLogs) ForceFlush(context.Context) error              { return nil }

type discardMetrics struct{ discard }

func (discardMetrics) Temporality(k sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DefaultTemporalitySelector(k)
}

func (discardMetrics) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}
func (discardMetrics) Export(context.Context, *metricdata.ResourceMetrics) error { return nil }
func (discardMetrics) ForceFlush(context.Context) error                          { return nil }
