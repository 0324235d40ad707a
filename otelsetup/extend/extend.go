// Package extend is what other packages plug into otelsetup: samplers,
// exporters, protocols, propagators and resource detectors under names that the
// environment variables and configuration files can use, and functions that
// change what Start builds.
//
// Names are meant to be registered in init functions: what is registered when
// [github.com/clewtrace/clew/otelsetup.Start] runs can be chosen.
//
//	func init() { extend.Samplers.Register("ours", newSampler) }
//
//	func newSampler(ctx context.Context, env extend.Env) (sdktrace.Sampler, error) {
//		return parse(env.SamplerArg()) // OTEL_TRACES_SAMPLER=ours OTEL_TRACES_SAMPLER_ARG=...
//	}
package extend

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/internal/sdkbatch"
	"github.com/clewtrace/clew/sampler"
)

// Names holds what the values of one variable stand for. Its methods are safe
// for concurrent use. Names are not case-sensitive. A name that is registered
// again gets the new meaning; a built-in one keeps its own.
type Names[T any] struct {
	variables []string
	mu        sync.RWMutex
	byName    map[string]T
}

// A Factory makes what a name stands for. Its error is a problem in the report,
// and the program runs without what it would have made.
type Factory[T any] = func(ctx context.Context, env Env) (T, error)

// What can be registered.
var (
	// Samplers are values of OTEL_TRACES_SAMPLER. With the prefix parentbased_
	// a name is the sampler for roots alone, unless that is registered too.
	Samplers = names[Factory[sdktrace.Sampler]]("OTEL_TRACES_SAMPLER")
	// SpanExporters are entries of OTEL_TRACES_EXPORTER.
	SpanExporters = &SpanExporterNames{names[Factory[sdktrace.SpanExporter]]("OTEL_TRACES_EXPORTER")}
	// MetricReaders are entries of OTEL_METRICS_EXPORTER.
	MetricReaders = names[Factory[sdkmetric.Reader]]("OTEL_METRICS_EXPORTER")
	// LogExporters are entries of OTEL_LOGS_EXPORTER.
	LogExporters = &LogExporterNames{names[Factory[sdklog.Exporter]]("OTEL_LOGS_EXPORTER")}
	// Propagators are entries of OTEL_PROPAGATORS.
	Propagators = names[propagation.TextMapPropagator]("OTEL_PROPAGATORS")
	// Protocols are values of OTEL_EXPORTER_OTLP_PROTOCOL.
	Protocols = names[Protocol]("OTEL_EXPORTER_OTLP_PROTOCOL")
	// Detectors describe the process. All that are registered are asked; their
	// names stand in problems. All of them together get one second.
	Detectors = names[resource.Detector]()
)

func names[T any](variables ...string) *Names[T] {
	return &Names[T]{variables: variables, byName: map[string]T{}}
}

// Register gives a name its meaning.
func (n *Names[T]) Register(name string, meaning T) {
	name = strings.ToLower(name)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.byName[name] = meaning
	for _, variable := range n.variables {
		settings.Accept(variable, name)
	}
}

// SpanExporterNames are [Names] of what gets spans in batches.
type SpanExporterNames struct {
	*Names[Factory[sdktrace.SpanExporter]]
}

// Register gives a name its meaning.
func (n *SpanExporterNames) Register(name string, meaning Factory[sdktrace.SpanExporter]) {
	sdkbatch.Link()
	n.Names.Register(name, meaning)
}

// LogExporterNames are [Names] of what gets log records in batches.
type LogExporterNames struct {
	*Names[Factory[sdklog.Exporter]]
}

// Register gives a name its meaning.
func (n *LogExporterNames) Register(name string, meaning Factory[sdklog.Exporter]) {
	sdkbatch.Link()
	n.Names.Register(name, meaning)
}

// Lookup returns what a name stands for.
func (n *Names[T]) Lookup(name string) (meaning T, ok bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	meaning, ok = n.byName[strings.ToLower(name)]
	return meaning, ok
}

// Names returns all names, sorted.
func (n *Names[T]) Names() []string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return slices.Sorted(maps.Keys(n.byName))
}

// Env is what a [Factory] learns of the program. It is valid during the call,
// for one goroutine.
type Env interface {
	// MeterProvider is where samplers and span exporters send their metrics:
	// the one that is about to become the global one. For metric readers it
	// records nothing.
	MeterProvider() metric.MeterProvider
	// ServiceName is the name of the service in the resource.
	ServiceName() string
	// SamplerArg is the text of OTEL_TRACES_SAMPLER_ARG, or the argument in a
	// configuration file: key=value,... of what stands below the sampler's
	// name.
	SamplerArg() string
	// Text is the text of a variable, without spaces around it, or "". A
	// configuration file hides the variables that begin with OTEL_.
	Text(name string) string
	// Number, Duration and URL are the values of variables that
	// docs/environment.md lists and that belong to what is being made, checked
	// and with their defaults. They are zero for other names.
	Number(name string) int
	Duration(name string) time.Duration
	URL(name string) *url.URL
	// OnShutdown has f called by Telemetry.Shutdown, for what was started and
	// has no Shutdown of its own that the SDK would call.
	OnShutdown(f func(ctx context.Context) error)
}

// RegisterComposable registers a composable sampler as name, and the same for
// roots alone, in [sampler.ParentThreshold], as "parentbased_" and name.
func RegisterComposable(name string, f Factory[sampler.Composable]) {
	for prefix, wrap := range map[string]func(sampler.Composable) sampler.Composable{
		"":                    func(c sampler.Composable) sampler.Composable { return c },
		settings.ParentPrefix: sampler.ParentThreshold,
	} {
		Samplers.Register(prefix+name, func(ctx context.Context, env Env) (sdktrace.Sampler, error) {
			root, err := f(ctx, env)
			if err != nil {
				return nil, err
			}
			return sampler.New(wrap(root), sampler.WithMeterProvider(env.MeterProvider())), nil
		})
	}
}

// Pairs reads a list of key=value, such as a sampler's argument. A key may stand
// once, and must be accepted. A value without "=" has the key "".
func Pairs(text string, accepted ...string) (map[string]string, error) {
	return settings.ParsePairs(text, accepted)
}
