package otelsetup

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
)

const (
	samplerVariable    = "OTEL_TRACES_SAMPLER"
	samplerArgVariable = "OTEL_TRACES_SAMPLER_ARG"
	parentBased        = "parentbased_"
)

func init() {
	RegisterSampler("always_on", func(context.Context, *Env) (sdktrace.Sampler, error) { return sdktrace.AlwaysSample(), nil })
	RegisterSampler("always_off", func(context.Context, *Env) (sdktrace.Sampler, error) { return sdktrace.NeverSample(), nil })
	RegisterSampler("traceidratio", func(_ context.Context, env *Env) (sdktrace.Sampler, error) {
		return sdktrace.TraceIDRatioBased(env.Ratio(samplerArgVariable)), nil
	})
	RegisterComposableSampler("probability", func(_ context.Context, env *Env) (sampler.Composable, error) {
		return sampler.Probability(env.Ratio(samplerArgVariable)), nil
	})
	RegisterComposableSampler("adaptive", newAdaptive)
}

// RegisterComposableSampler makes name a value of OTEL_TRACES_SAMPLER, and
// "parentbased_" with it the same for roots alone, in
// [sampler.ParentThreshold].
func RegisterComposableSampler(name string, f func(ctx context.Context, env *Env) (sampler.Composable, error)) {
	register := func(name string, wrap func(sampler.Composable) sampler.Composable) {
		RegisterSampler(name, func(ctx context.Context, env *Env) (sdktrace.Sampler, error) {
			root, err := f(ctx, env)
			if err != nil {
				return nil, err
			}
			return sampler.New(wrap(root), sampler.WithMeterProvider(env.MeterProvider())), nil
		})
	}
	register(name, func(c sampler.Composable) sampler.Composable { return c })
	register(parentBased+name, sampler.ParentThreshold)
}

// newAdaptive reads the argument of the sampler "adaptive": traces per second,
// or a list of key=value.
func newAdaptive(_ context.Context, env *Env) (sampler.Composable, error) {
	const rate, operations, replicas, low, high = "traces_per_second", "max_operations", "replicas", "min_probability", "max_probability"
	pairs := env.Pairs([]string{"", rate, operations, replicas, low, high}, samplerArgVariable)
	if v, ok := pairs[""]; ok {
		pairs[rate] = v
	}
	var errs []error
	float := func(key string) float64 {
		v, ok := pairs[key]
		if !ok {
			return 0
		}
		f, err := strconv.ParseFloat(v, 64)
		if err != nil {
			errs = append(errs, valueError(key+" must be a number"))
		}
		return f
	}
	whole := func(key string) int {
		v, ok := pairs[key]
		if !ok {
			return 0
		}
		n, err := wholeNumber(v, 1, "")
		if err != nil {
			errs = append(errs, valueError(key+" "+err.Error()))
		}
		return n
	}
	cfg := sampler.AdaptiveConfig{
		TracesPerSecond: float(rate), MaxOperations: whole(operations), Replicas: whole(replicas),
		MinProbability: float(low), MaxProbability: float(high),
		MeterProvider: env.MeterProvider(),
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Its metrics end with the meter provider: to end them before would keep
	// them out of the last export.
	return sampler.NewAdaptive(cfg)
}

// sampler is what the environment or a configuration file asks for.
func (e *Env) sampler(ctx context.Context) sdktrace.Sampler {
	if e.file != nil {
		return e.fileSampler(ctx)
	}
	return e.namedSampler(ctx)
}

// namedSampler reads OTEL_TRACES_SAMPLER and its argument.
func (e *Env) namedSampler(ctx context.Context) sdktrace.Sampler {
	const standard = parentBased + "always_on"
	var roots, accepted []string
	for _, name := range samplers.names() {
		root, _ := strings.CutPrefix(name, parentBased)
		roots = append(roots, root)
	}
	roots = slices.Compact(slices.Sorted(slices.Values(roots)))
	accepted = append(accepted, roots...)
	for _, name := range roots {
		accepted = append(accepted, parentBased+name)
	}
	name := read(e, standard, []string{samplerVariable}, itself, func(v string) (string, error) {
		lower := strings.ToLower(v)
		if _, known := findSampler(lower); known {
			return lower, nil
		}
		return "", valueError("must be " + oneOf(accepted) + samplerHint(lower))
	})
	newSampler, _ := findSampler(name)
	s, err := newSampler(ctx, e)
	if err != nil {
		variable, value := e.Lookup(samplerArgVariable, samplerVariable)
		e.Problem(variable, value, name+": "+err.Error(), standard)
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	return s
}

// samplerHint says what to do about a sampler that is not there.
func samplerHint(name string) string {
	if strings.TrimPrefix(name, parentBased) == "xray" {
		return "; there is no OpenTelemetry module with the sampler xray, a program can register one with RegisterSampler"
	}
	return hint(optInSamplers, name)
}

// findSampler also knows the parent-based form of a sampler that was
// registered without one.
func findSampler(name string) (factory[sdktrace.Sampler], bool) {
	if f, ok := samplers.get(name); ok {
		return f, true
	}
	root, isParentBased := strings.CutPrefix(name, parentBased)
	f, ok := samplers.get(root)
	if !ok || !isParentBased {
		return nil, false
	}
	return func(ctx context.Context, env *Env) (sdktrace.Sampler, error) {
		s, err := f(ctx, env)
		if err != nil {
			return nil, err
		}
		return sdktrace.ParentBased(s), nil
	}, true
}
