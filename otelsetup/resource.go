package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	serviceNameVariable        = "OTEL_SERVICE_NAME"
	resourceAttributesVariable = "OTEL_RESOURCE_ATTRIBUTES"
)

// resource describes this process. What the program says wins over the
// environment, and the environment over what was found out.
func (e *Env) resource(ctx context.Context, cfg *config) (*resource.Resource, error) {
	var version []attribute.KeyValue
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = append(version, semconv.ServiceVersion(info.Main.Version))
	}
	res, err := resource.New(ctx,
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
	)
	errs := []error{err}
	merge := func(with *resource.Resource) {
		merged, err := resource.Merge(res, with)
		if merged != nil {
			res = merged // a conflict of schemas loses the schema's URL only
		}
		errs = append(errs, err)
	}
	found, detectErr := detect(ctx)
	errs = append(errs, detectErr)
	for _, r := range found {
		merge(r)
	}
	merge(resource.NewSchemaless(e.resourceAttributes()...))
	if e.file != nil {
		merge(resource.NewSchemaless(e.file.Attributes...))
	}
	merge(resource.NewSchemaless(cfg.attributes...))
	res = customized(res, cfg.resource)
	res = resource.NewWithAttributes(res.SchemaURL(), validEach(res.Attributes(), validAttribute)...)
	if name, ok := res.Set().Value(semconv.ServiceNameKey); ok {
		e.serviceName = name.AsString()
	}
	return res, errors.Join(errs...)
}

// resourceAttributes reads OTEL_RESOURCE_ATTRIBUTES, and OTEL_SERVICE_NAME,
// which wins. "Resource SDK", section "Specifying resource information via an
// environment variable", wants a value with any mistake discarded as a whole.
func (e *Env) resourceAttributes() []attribute.KeyValue {
	show := func(attrs []attribute.KeyValue) any {
		keys := make([]string, len(attrs))
		for i, a := range attrs {
			keys[i] = string(a.Key) + "=" + a.Value.AsString()
		}
		return strings.Join(keys, ",")
	}
	attrs := read(e, nil, []string{resourceAttributesVariable}, show, parseAttributes)
	const unknown = "" // resource.WithService knows the name of the executable
	if name := e.String(unknown, serviceNameVariable); name != unknown {
		attrs = append(attrs, semconv.ServiceName(name))
	}
	return attrs
}

func parseAttributes(v string) ([]attribute.KeyValue, error) {
	var attrs []attribute.KeyValue
	for pair := range strings.SplitSeq(v, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key, keyErr := url.PathUnescape(strings.TrimSpace(key))
		value, valueErr := url.PathUnescape(strings.TrimSpace(value))
		if !found || key == "" || keyErr != nil || valueErr != nil || !utf8.ValidString(key+value) {
			return nil, valueError(fmt.Sprintf("must be key=value,... percent-encoded UTF-8, which %q is not", strings.TrimSpace(pair)))
		}
		attrs = append(attrs, attribute.String(key, value))
	}
	return attrs, nil
}

// hideMalformedAttributes takes OTEL_RESOURCE_ATTRIBUTES out of the environment
// when it was reported as malformed: each provider of the SDK merges what it
// can make of it into the resource it is given. The result puts it back.
func (e *Env) hideMalformedAttributes() (restore func()) {
	value := os.Getenv(resourceAttributesVariable)
	if _, err := parseAttributes(value); err == nil {
		return func() {}
	}
	os.Unsetenv(resourceAttributesVariable)                        //nolint:errcheck // a constant name
	return func() { os.Setenv(resourceAttributesVariable, value) } //nolint:errcheck // it was so before
}

// detectionTimeout bounds what the registered detectors take together.
const detectionTimeout = time.Second

// detect asks the registered detectors, all at once. The ones that fail or are
// not done in time are named.
func detect(ctx context.Context) ([]*resource.Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, detectionTimeout)
	defer cancel()
	type result struct {
		res *resource.Resource
		err error
	}
	names := detectors.names()
	results := make([]chan result, len(names))
	for i, name := range names {
		detector, _ := detectors.get(name)
		results[i] = make(chan result, 1)
		go func() {
			res, err := detector.Detect(ctx)
			if err == nil && (res == nil || res.Len() == 0) {
				err = ctx.Err() // some keep it to themselves
			}
			results[i] <- result{res, err}
		}()
	}
	var found []*resource.Resource
	var errs []error
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
			errs = append(errs, fmt.Errorf("resource detector %s: %w", name, r.err))
		}
		if r.res != nil {
			found = append(found, r.res)
		}
	}
	return found, errors.Join(errs...)
}
