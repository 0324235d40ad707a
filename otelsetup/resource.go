package otelsetup

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/otelsetup/extend"
)

// buildResource describes this process. What the program says wins over the
// environment, and the environment over what was found out.
func (b *builder) buildResource(ctx context.Context) {
	var version []attribute.KeyValue
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = append(version, semconv.ServiceVersion(info.Main.Version))
	}
	res, err := resource.New(ctx,
		resource.WithService(), // unknown_service:<executable>, and an instance id of its own
		resource.WithAttributes(version...),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithDetectors(mountDetector{"/proc/self/mountinfo"}),
		resource.WithContainer(), // from the cgroups, which know better if they have it
		// The command line is left out: it may hold secrets.
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
	)
	b.problem("resource", err)
	merge := func(with *resource.Resource) {
		merged, err := resource.Merge(res, with)
		if merged != nil {
			res = merged // a conflict of schemas loses the schema's URL only
		}
		b.problem("resource", err)
	}
	for _, r := range b.detect(ctx) {
		merge(r)
	}
	merge(resource.NewSchemaless(b.settings.Attributes...))
	merge(resource.NewSchemaless(b.config.attributes...))
	for _, c := range b.config.custom {
		res = custom(c.Resource, res)
	}
	b.resource = res
}

// ServiceName is the name in the resource.
func (e env) ServiceName() string {
	name, _ := e.resource.Set().Value(semconv.ServiceNameKey)
	return name.AsString()
}

// exportedResource is the resource in place of the SDK's, which adds what it
// can make of OTEL_RESOURCE_ATTRIBUTES even if that is malformed, or replaced by
// a configuration file. It is nil if the SDK adds nothing.
func (b *builder) exportedResource() *resource.Resource {
	merged, err := resource.Merge(resource.Environment(), b.resource)
	if err == nil && merged.Equal(b.resource) {
		return nil
	}
	return b.resource
}

// detectionTimeout bounds what the registered detectors take together.
const detectionTimeout = time.Second

// detect asks the registered detectors, all at once. The ones that fail or are
// not done in time are named.
func (b *builder) detect(ctx context.Context) (found []*resource.Resource) {
	ctx, cancel := context.WithTimeout(ctx, detectionTimeout)
	defer cancel()
	type result struct {
		res *resource.Resource
		err error
	}
	names := extend.Detectors.Names()
	results := make([]chan result, len(names))
	for i, name := range names {
		detector, _ := extend.Detectors.Lookup(name)
		results[i] = make(chan result, 1)
		go func() {
			res, err := detector.Detect(ctx)
			if err == nil && (res == nil || res.Len() == 0) {
				err = ctx.Err() // some keep it to themselves
			}
			results[i] <- result{res, err}
		}()
	}
	for i, name := range names {
		var r result
		select {
		case r = <-results[i]:
		case <-ctx.Done():
			select {
			case r = <-results[i]:
			default:
				r.err = fmt.Errorf("not done in %v: %w", detectionTimeout, ctx.Err())
			}
		}
		if r.err != nil {
			b.problem("resource detector "+name, r.err)
		}
		if r.res != nil {
			found = append(found, r.res)
		}
	}
	return found
}
