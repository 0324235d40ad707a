package settings

import "fmt"

// samplerNamesInFile are the samplers whose name in a file differs from the
// one in the variable.
var samplerNamesInFile = map[string]string{"trace_id_ratio_based": "traceidratio", "probability/development": "probability"}

// sampler reads the sampler. Without a tracer provider nothing is recorded.
func (f *file) sampler() Sampler {
	const path = "tracer_provider.sampler"
	switch {
	case f.has(path):
		return f.samplerAt(path)
	case f.has("tracer_provider"):
		return named(&f.report, "", "", "", "")
	}
	return named(&f.report, "tracer_provider", ParentPrefix+"always_off", "", "")
}

func (f *file) samplerAt(path string) Sampler {
	names := f.keys(path)
	if len(names) != 1 {
		f.reject(path, fmt.Sprintf("must be one sampler, not %d; using %s", len(names), SamplerStandard))
		f.use(path)
		return Sampler{Name: SamplerStandard}
	}
	if names[0] == "parent_based" {
		return f.parentBased(path + ".parent_based")
	}
	return f.namedAt(path, "")
}

// namedAt reads the sampler at path that is chosen by its name, with prefix.
// Its arguments become the text that OTEL_TRACES_SAMPLER_ARG would hold.
func (f *file) namedAt(path, prefix string) Sampler {
	name := f.keys(path)[0]
	key := path + "." + name
	arguments := f.keys(key)
	var argument string
	if _, isMap := f.value(key).(map[string]any); !isMap { // an empty one
		argument = f.text(key)
	}
	for i, a := range arguments {
		value := f.text(key + "." + a)
		if len(arguments) == 1 && (a == "ratio" || a == "file") {
			argument = value
			break
		}
		if i > 0 {
			argument += ","
		}
		argument += a + "=" + value
	}
	if variable, ok := samplerNamesInFile[name]; ok {
		name = variable
	}
	return named(&f.report, path, prefix+name, key, argument)
}

// parentBased asks root for traces that begin here. With nothing else to say,
// it is the parent-based form of root that has a name, which may know better
// than the SDK's what to do with a threshold.
func (f *file) parentBased(path string) Sampler {
	f.value(path) // an empty one is understood
	p := &ParentBased{}
	delegates := map[string]**Sampler{
		"root": &p.Root, "remote_parent_sampled": &p.RemoteSampled, "remote_parent_not_sampled": &p.RemoteUnsampled,
		"local_parent_sampled": &p.LocalSampled, "local_parent_not_sampled": &p.LocalUnsampled,
	}
	keys := f.keys(path)
	if len(keys) == 0 {
		return named(&f.report, path, SamplerStandard, "", "")
	}
	if roots := f.keys(path + ".root"); len(keys) == 1 && len(roots) == 1 && roots[0] != "parent_based" {
		return f.namedAt(path+".root", ParentPrefix)
	}
	for _, key := range keys {
		to, known := delegates[key]
		if !known {
			continue // reported as what is not supported
		}
		s := f.samplerAt(path + "." + key)
		*to = &s
	}
	return Sampler{ParentBased: p, Source: path}
}
