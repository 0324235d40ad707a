package otelsetup

import (
	"context"
	"slices"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
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
}

// sampler reads OTEL_TRACES_SAMPLER and its argument.
func (e *Env) sampler(ctx context.Context) sdktrace.Sampler {
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
		return "", errValue("must be " + oneOf(accepted) + hint(optInSamplers, lower))
	})
	newSampler, _ := findSampler(name)
	s, err := newSampler(ctx, e)
	if err != nil {
		variable, value := e.Lookup(samplerArgVariable, samplerVariable)
		e.Problem(variable, value, err.Error(), standard)
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	return s
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
