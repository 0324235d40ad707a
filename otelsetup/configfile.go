package otelsetup

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const configFileVariable = "OTEL_CONFIG_FILE"

// ConfigFile is what a configuration file asks for. Where a variable says the
// same, it is told in terms of that variable, so that files and variables have
// one meaning and one kind of error.
type ConfigFile struct {
	Values     []FileValue // read in place of every OTEL_* variable
	Attributes []attribute.KeyValue
	// Sampler builds the sampler; leaf makes the ones that have a name. Nil
	// means parentbased_always_on.
	Sampler func(leaf func(...FileValue) sdktrace.Sampler) (sdktrace.Sampler, error)
	// Spans and Logs have an entry for each processor. Without any, there is no
	// provider for the signal.
	Spans, Logs [][]FileValue
	// Meters makes the meter provider. Nil means that there is none.
	Meters func(ctx context.Context, res *resource.Resource) (MeterProvider, error)
}

// FileValue is one value of a configuration file.
type FileValue struct {
	Variable string // the one that says the same
	Key      string // where it stands in the file, for errors and [Report]
	Value    string
}

// MeterProvider is a meter provider with the life of the SDK's.
type MeterProvider interface {
	metric.MeterProvider
	ForceFlush(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

var configFileReader atomic.Pointer[func(file string) (*ConfigFile, error)]

// RegisterConfigFile makes OTEL_CONFIG_FILE the path of a file that read
// understands. A result is used even if there is an error beside it; without
// one the variables are.
func RegisterConfigFile(read func(file string) (*ConfigFile, error)) { configFileReader.Store(&read) }

// readConfigFile makes e read the file that OTEL_CONFIG_FILE names, if it is
// set, in place of the variables: OpenTelemetry Environment Variable
// Specification, section "Declarative configuration".
func (e *Env) readConfigFile() error {
	name, file := e.Lookup(configFileVariable)
	if file == "" {
		return nil
	}
	const instead = "the other variables"
	read := configFileReader.Load()
	if read == nil {
		e.Problem(name, file, "a configuration file needs the import of "+optIn+"otelsetup/configfile", instead)
		return nil
	}
	config, err := (*read)(file)
	if config == nil {
		e.Problem(name, file, err.Error(), instead)
		return nil
	}
	e.record([]string{configFileVariable}, configFileVariable, file)
	e.file = config
	e.values = fileValues{}.with(config.Values)
	return err
}

// fileValues are what stands in a configuration file, by variable.
type fileValues map[string]FileValue

// with adds values to a copy.
func (v fileValues) with(values []FileValue) fileValues {
	all := make(fileValues, len(v)+len(values))
	maps.Copy(all, v)
	for _, value := range values {
		all[value.Variable] = value
	}
	return all
}

// within returns an Env that reads values too.
func (e *Env) within(values []FileValue) *Env {
	inner := *e
	inner.values = e.values.with(values)
	inner.problems, inner.settings, inner.onShutdown = nil, nil, nil
	return &inner
}

// absorb takes over what happened within.
func (e *Env) absorb(inner *Env) {
	e.problems = append(e.problems, inner.problems...)
	e.settings = append(e.settings, inner.settings...)
	e.onShutdown = append(e.onShutdown, inner.onShutdown...)
}

// pipelines calls add for each processor of a configuration file, or once for
// the environment.
func (e *Env) pipelines(fromFile func(*ConfigFile) [][]FileValue, add func(*Env)) {
	if e.file == nil {
		add(e)
		return
	}
	for _, values := range fromFile(e.file) {
		inner := e.within(values)
		add(inner)
		e.absorb(inner)
	}
}

// fileSampler builds the sampler of a configuration file.
func (e *Env) fileSampler(ctx context.Context) sdktrace.Sampler {
	if e.file.Sampler == nil {
		return e.namedSampler(ctx)
	}
	sampler, err := e.file.Sampler(func(values ...FileValue) sdktrace.Sampler {
		inner := e.within(values)
		defer e.absorb(inner)
		return inner.namedSampler(ctx)
	})
	if err != nil {
		const standard = parentBased + "always_on"
		e.problems = append(e.problems, fmt.Errorf("%w; using %s", err, standard))
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	return sampler
}

// hideEnvironment takes the OTEL_* variables out of the environment while the
// parts of the SDK are made, which read them too. The result puts them back.
func hideEnvironment() (restore func()) {
	hidden := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, variablePrefix) {
			hidden[name] = value
			os.Unsetenv(name) //nolint:errcheck // it was just read
		}
	}
	return func() {
		for name, value := range hidden {
			os.Setenv(name, value) //nolint:errcheck // it was so before
		}
	}
}

const variablePrefix = "OTEL_"
