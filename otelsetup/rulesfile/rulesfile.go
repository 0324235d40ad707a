// Package rulesfile makes "rules" and "parentbased_rules" values of
// OTEL_TRACES_SAMPLER:
//
//	import _ "github.com/clewtrace/clew/otelsetup/rulesfile"
//
// OTEL_TRACES_SAMPLER_ARG is the path of a file as
// [github.com/clewtrace/clew/sampler/rulesfile] describes it. The file is read
// again when it changes.
package rulesfile

import (
	"context"
	"errors"

	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/rulesfile"
)

func init() {
	extend.RegisterComposable("rules", func(_ context.Context, env extend.Env) (sampler.Composable, error) {
		path := env.SamplerArg()
		if path == "" {
			return nil, errors.New("OTEL_TRACES_SAMPLER_ARG must be the path of a file")
		}
		file, err := rulesfile.Open(path, 0)
		if err != nil {
			return nil, err
		}
		env.OnShutdown(file.Shutdown)
		return file, nil
	})
}
