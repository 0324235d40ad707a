package configfile

import (
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/otelsetup"
)

const (
	samplerVariable    = "OTEL_TRACES_SAMPLER"
	samplerArgVariable = "OTEL_TRACES_SAMPLER_ARG"
)

// newSampler makes a sampler of samplers that have a name.
type newSampler func(leaf func(...otelsetup.FileValue) sdktrace.Sampler) (sdktrace.Sampler, error)

// samplerNames are the samplers whose name in a file differs from the one in
// the variable.
var samplerNames = map[string]string{"trace_id_ratio_based": "traceidratio", "probability/development": "probability"}

const parentBased = "parent_based"

func (t *translation) sampler(path string) newSampler {
	names := t.keys(path)
	if len(names) != 1 {
		return func(func(...otelsetup.FileValue) sdktrace.Sampler) (sdktrace.Sampler, error) {
			return nil, fmt.Errorf("OTEL_CONFIG_FILE: %s: must be one sampler, not %d", path, len(names))
		}
	}
	if names[0] == parentBased {
		return t.parentBased(path + "." + parentBased)
	}
	values := t.named(path, "")
	return func(leaf func(...otelsetup.FileValue) sdktrace.Sampler) (sdktrace.Sampler, error) {
		return leaf(values...), nil
	}
}

// named is the sampler at path that is chosen by its name, with prefix.
func (t *translation) named(path, prefix string) []otelsetup.FileValue {
	name := t.keys(path)[0]
	key := path + "." + name
	arguments := t.keys(key)
	var argument string
	if _, isMap := t.value(key).(map[string]any); !isMap { // an empty one
		argument = t.text(key)
	}
	for i, a := range arguments {
		value := t.text(key + "." + a)
		if len(arguments) == 1 && (a == "ratio" || a == "file") {
			argument = value
			break
		}
		if i > 0 {
			argument += ","
		}
		argument += a + "=" + value
	}
	if variable, ok := samplerNames[name]; ok {
		name = variable
	}
	return []otelsetup.FileValue{
		{Variable: samplerVariable, Key: path, Value: prefix + name},
		{Variable: samplerArgVariable, Key: key, Value: argument},
	}
}

// parentBased asks root for traces that begin here. With nothing else to say,
// it is the parent-based form of root that has a name, which may know better
// than [sdktrace.ParentBased] what to do with a threshold.
func (t *translation) parentBased(path string) newSampler {
	const always = "parentbased_always_on"
	roots, root := t.keys(path+".root"), path+".root"
	delegates := map[string]newSampler{}
	for _, name := range t.keys(path) {
		if name != "root" {
			delegates[name] = t.sampler(path + "." + name)
		}
	}
	if len(delegates) == 0 && (len(roots) == 0 || len(roots) == 1 && roots[0] != parentBased) {
		values := []otelsetup.FileValue{{Variable: samplerVariable, Key: path, Value: always}}
		if len(roots) == 1 {
			values = t.named(root, "parentbased_")
		}
		t.use(path)
		return func(leaf func(...otelsetup.FileValue) sdktrace.Sampler) (sdktrace.Sampler, error) {
			return leaf(values...), nil
		}
	}
	if len(roots) > 0 {
		delegates["root"] = t.sampler(root)
	}
	return func(leaf func(...otelsetup.FileValue) sdktrace.Sampler) (sdktrace.Sampler, error) {
		atRoot := sdktrace.AlwaysSample()
		var opts []sdktrace.ParentBasedSamplerOption
		for name, build := range delegates {
			sampler, err := build(leaf)
			if err != nil {
				return nil, err
			}
			switch name {
			case "root":
				atRoot = sampler
			case "remote_parent_sampled":
				opts = append(opts, sdktrace.WithRemoteParentSampled(sampler))
			case "remote_parent_not_sampled":
				opts = append(opts, sdktrace.WithRemoteParentNotSampled(sampler))
			case "local_parent_sampled":
				opts = append(opts, sdktrace.WithLocalParentSampled(sampler))
			case "local_parent_not_sampled":
				opts = append(opts, sdktrace.WithLocalParentNotSampled(sampler))
			default:
				return nil, fmt.Errorf("OTEL_CONFIG_FILE: %s.%s: no part of a parent-based sampler", path, name)
			}
		}
		return sdktrace.ParentBased(atRoot, opts...), nil
	}
}
