package settings

import (
	"errors"
	"slices"
	"strings"
)

const (
	samplerVariable    = "OTEL_TRACES_SAMPLER"
	samplerArgVariable = "OTEL_TRACES_SAMPLER_ARG"
)

func (r *reader) sampler(s *Settings) {
	source, name := r.find(samplerVariable)
	argAt, arg := r.find(samplerArgVariable)
	s.Sampler = named(&r.report, source, name, argAt, arg)
}

// named reads a sampler by its name, and its argument.
func named(r *report, source, name, argAt, arg string) Sampler {
	s := Sampler{Source: source, Arg: arg, ArgAt: argAt}
	s.Name = resolve(r, samplerName, samplerVariable, source, name, SamplerStandard)
	switch root := strings.TrimPrefix(s.Name, ParentPrefix); {
	case root == "traceidratio" || root == "probability":
		s.Ratio = resolve(r, ratio, samplerArgVariable, argAt, arg, 1)
	case arg != "" && root != "always_on" && root != "always_off":
		r.record(samplerArgVariable, plain.show(arg), argAt)
	}
	return s
}

// samplerName accepts each name with and without the prefix parentbased_.
var samplerName = kind[string]{
	parse: func(text string) (string, error) {
		roots := names(samplerVariable)
		lower := strings.ToLower(text)
		if slices.Contains(roots, lower) || slices.Contains(roots, strings.TrimPrefix(lower, ParentPrefix)) {
			return lower, nil
		}
		accepted := samplerNames(roots)
		hint := importHint(samplerVariable, lower, "; ", "")
		if strings.TrimPrefix(lower, ParentPrefix) == "xray" {
			hint = "; there is no OpenTelemetry module with the sampler xray, a program can register one with extend.Samplers.Register"
		}
		return "", errors.New("must be " + either(accepted) + hint)
	},
	show: itself,
}

// samplerNames returns the roots, then all with the prefix.
func samplerNames(registered []string) []string {
	var roots, withPrefix []string
	for _, name := range registered {
		root := strings.TrimPrefix(name, ParentPrefix)
		if !slices.Contains(roots, root) {
			roots = append(roots, root)
			withPrefix = append(withPrefix, ParentPrefix+root)
		}
	}
	return append(roots, withPrefix...)
}
