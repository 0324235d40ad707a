package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/redact"
	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/sampler"
)

// buildSampler makes a sampler, or the standard one if that fails.
func (b *builder) buildSampler(ctx context.Context, s settings.Sampler) sdktrace.Sampler {
	if s.ParentBased != nil {
		return b.parentBased(ctx, s.ParentBased)
	}
	made, err := b.namedSampler(ctx, s)
	if err != nil {
		p := settings.Problem{Name: s.ArgAt, Value: redact.Text(s.Arg), Reason: s.Name + ": " + redact.Text(err.Error()), Using: settings.SamplerStandard}
		if s.Arg == "" {
			p.Name, p.Value = s.Source, s.Name
		}
		b.problems = append(b.problems, p)
		b.settings.FallBack(s.Source, settings.SamplerStandard)
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	return made
}

// parentBased makes the sampler that a configuration file puts together.
func (b *builder) parentBased(ctx context.Context, p *settings.ParentBased) sdktrace.Sampler {
	root := sdktrace.AlwaysSample()
	if p.Root != nil {
		root = b.buildSampler(ctx, *p.Root)
	}
	var opts []sdktrace.ParentBasedSamplerOption
	for _, delegate := range []struct {
		to     *settings.Sampler
		option func(sdktrace.Sampler) sdktrace.ParentBasedSamplerOption
	}{
		{p.RemoteSampled, sdktrace.WithRemoteParentSampled},
		{p.RemoteUnsampled, sdktrace.WithRemoteParentNotSampled},
		{p.LocalSampled, sdktrace.WithLocalParentSampled},
		{p.LocalUnsampled, sdktrace.WithLocalParentNotSampled},
	} {
		if delegate.to != nil {
			opts = append(opts, delegate.option(b.buildSampler(ctx, *delegate.to)))
		}
	}
	return sdktrace.ParentBased(root, opts...)
}

// namedSampler makes a sampler by its name, which may have the prefix
// parentbased_.
func (b *builder) namedSampler(ctx context.Context, s settings.Sampler) (sdktrace.Sampler, error) {
	root, forRoots := strings.CutPrefix(s.Name, settings.ParentPrefix)
	var plain sdktrace.Sampler
	var composable sampler.Composable
	var err error
	switch root {
	case "always_on":
		plain = sdktrace.AlwaysSample()
	case "always_off":
		plain = sdktrace.NeverSample()
	case "traceidratio":
		plain = sdktrace.TraceIDRatioBased(s.Ratio)
	case "probability":
		composable = sampler.Probability(s.Ratio)
	case "adaptive":
		composable, err = newAdaptive(s.Arg, b.meters)
	default:
		return b.pluggedSampler(ctx, s, root)
	}
	switch {
	case err != nil:
		return nil, err
	case composable != nil && forRoots:
		return sampler.New(sampler.ParentThreshold(composable), sampler.WithMeterProvider(b.meters)), nil
	case composable != nil:
		return sampler.New(composable, sampler.WithMeterProvider(b.meters)), nil
	case forRoots:
		return sdktrace.ParentBased(plain), nil
	}
	return plain, nil
}

// pluggedSampler makes a registered sampler: by its whole name, or the
// parent-based form of one that was registered without.
func (b *builder) pluggedSampler(ctx context.Context, s settings.Sampler, root string) (sdktrace.Sampler, error) {
	env := env{builder: b, arg: s.Arg}
	if f, _ := extend.Samplers.Lookup(s.Name); f != nil {
		return f(ctx, env)
	}
	f, _ := extend.Samplers.Lookup(root)
	if f == nil {
		return nil, errNotRegistered
	}
	made, err := f(ctx, env)
	if err != nil {
		return nil, err
	}
	return sdktrace.ParentBased(made), nil
}

// newAdaptive reads the argument of the sampler "adaptive": traces per second,
// or a list of key=value.
func newAdaptive(arg string, meters metric.MeterProvider) (sampler.Composable, error) {
	const rate, operations, replicas, low, high = "traces_per_second", "max_operations", "replicas", "min_probability", "max_probability"
	pairs, err := extend.Pairs(arg, "", rate, operations, replicas, low, high)
	if err != nil {
		return nil, err
	}
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
			errs = append(errs, errors.New(key+" must be a number"))
		}
		return f
	}
	whole := func(key string) int {
		v, ok := pairs[key]
		if !ok {
			return 0
		}
		n, err := strconv.ParseInt(v, 10, 32)
		if err != nil || n < 1 {
			errs = append(errs, fmt.Errorf("%s must be a whole number from 1 to 2147483647", key))
		}
		return int(n)
	}
	cfg := sampler.AdaptiveConfig{
		TracesPerSecond: float(rate), MaxOperations: whole(operations), Replicas: whole(replicas),
		MinProbability: float(low), MaxProbability: float(high),
		MeterProvider: meters,
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	// Its metrics end with the meter provider: to end them before would keep
	// them out of the last export.
	return sampler.NewAdaptive(cfg)
}
