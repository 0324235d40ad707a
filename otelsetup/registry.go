package otelsetup

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// registry holds what the values of a variable stand for.
type registry[T any] struct {
	mu     sync.RWMutex
	byName map[string]T
}

func (r *registry[T]) set(name string, v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byName == nil {
		r.byName = map[string]T{}
	}
	r.byName[strings.ToLower(name)] = v
}

func (r *registry[T]) get(name string) (T, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, ok := r.byName[name]
	return v, ok
}

// names are sorted, so that they read the same in every error.
func (r *registry[T]) names() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Sorted(maps.Keys(r.byName))
}

// A factory makes what a name stands for. It may read variables of its own
// from env. Its error is reported by [Start], and the program runs without
// what it would have made.
type factory[T any] = func(ctx context.Context, env *Env) (T, error)

var (
	samplers      registry[factory[sdktrace.Sampler]]
	spanExporters registry[factory[sdktrace.SpanExporter]]
	metricReaders registry[factory[sdkmetric.Reader]]
	logExporters  registry[factory[sdklog.Exporter]]
	propagators   registry[propagation.TextMapPropagator]
	detectors     registry[resource.Detector]
	protocols     registry[Protocol]
)

// The Register functions are meant for init functions: what is registered when
// [Start] runs can be chosen. They are safe for concurrent use. Names are not
// case-sensitive; a name that is registered again, built-in or not, gets the
// new meaning.

// RegisterSampler makes name a value of OTEL_TRACES_SAMPLER, and
// "parentbased_" with it the sampler for roots alone, unless that is
// registered too. The argument is read with
// env.String("", "OTEL_TRACES_SAMPLER_ARG").
func RegisterSampler(name string, f func(ctx context.Context, env *Env) (sdktrace.Sampler, error)) {
	samplers.set(name, f)
}

// RegisterSpanExporter makes name an entry of OTEL_TRACES_EXPORTER.
func RegisterSpanExporter(name string, f func(ctx context.Context, env *Env) (sdktrace.SpanExporter, error)) {
	spanExporters.set(name, f)
}

// RegisterMetricReader makes name an entry of OTEL_METRICS_EXPORTER.
func RegisterMetricReader(name string, f func(ctx context.Context, env *Env) (sdkmetric.Reader, error)) {
	metricReaders.set(name, f)
}

// RegisterLogExporter makes name an entry of OTEL_LOGS_EXPORTER.
func RegisterLogExporter(name string, f func(ctx context.Context, env *Env) (sdklog.Exporter, error)) {
	logExporters.set(name, f)
}

// RegisterPropagator makes name an entry of OTEL_PROPAGATORS.
func RegisterPropagator(name string, p propagation.TextMapPropagator) { propagators.set(name, p) }

// RegisterResourceDetector adds a detector to the ones that describe the
// process; name stands in errors. All of them together get one second.
func RegisterResourceDetector(name string, d resource.Detector) { detectors.set(name, d) }

// RegisterProtocol makes name a value of OTEL_EXPORTER_OTLP_PROTOCOL.
func RegisterProtocol(name string, p Protocol) { protocols.set(name, p) }

// The packages that register what would burden programs that do not need it.
const optIn = "github.com/clewtrace/clew/"

var (
	optInExporters = map[string]string{"zipkin": "contrib/zipkin", "prometheus": "otelsetup/prometheus"}
	optInProtocols = map[string]string{"grpc": "otelsetup/otlpgrpc"}
	optInSamplers  = map[string]string{
		"jaeger_remote": "contrib/jaegerremote", "parentbased_jaeger_remote": "contrib/jaegerremote",
		"rules": "otelsetup/rulesfile", "parentbased_rules": "otelsetup/rulesfile",
	}
)

// hint says which import a name needs.
func hint(known map[string]string, name string) string {
	if h := importOf(known)(name); h != "" {
		return "; " + h
	}
	return ""
}

func importOf(known map[string]string) func(name string) string {
	return func(name string) string {
		if pkg := known[name]; pkg != "" {
			return name + " needs the import of " + optIn + pkg
		}
		return ""
	}
}
