package otelsetup

import (
	"context"
	"runtime/debug"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// newResource describes this process. What the program says wins over the
// environment, and the environment over what was found out.
func newResource(ctx context.Context, attrs []attribute.KeyValue) (*resource.Resource, error) {
	var version []attribute.KeyValue
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = append(version, semconv.ServiceVersion(info.Main.Version))
	}
	return resource.New(ctx,
		resource.WithService(), // unknown_service:<executable>, and an instance id of its own
		resource.WithAttributes(version...),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithContainer(),
		// The command line is left out: it may hold secrets.
		resource.WithProcessPID(),
		resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(),
		resource.WithProcessRuntimeVersion(),
		resource.WithFromEnv(),
		resource.WithAttributes(attrs...),
	)
}
