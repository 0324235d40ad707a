// Package configfile makes OTEL_CONFIG_FILE the path of a file of the
// OpenTelemetry declarative configuration:
//
//	import _ "github.com/clewtrace/clew/otelsetup/configfile"
//
// The file is read, checked and its ${VARIABLES} replaced by
// [go.opentelemetry.io/contrib/otelconf], which also makes the meter provider.
// Traces, logs and propagators are made by otelsetup, so that they are what
// they are without a file: the propagator tracecontext is this project's, and
// a sampler may be any that is registered under a name, with its argument below
// it:
//
//	tracer_provider:
//	  sampler:
//	    parent_based:
//	      root:
//	        adaptive: {traces_per_second: 10}
//
// As the specification says, what the file does not mention has the file
// format's default, and no other OTEL_* variable counts. A part of the file
// that is not understood is an error of [otelsetup.Start], and the rest is
// used.
package configfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.opentelemetry.io/contrib/otelconf"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.yaml.in/yaml/v3"

	"github.com/clewtrace/clew/otelsetup"
	_ "github.com/clewtrace/clew/otelsetup/otlpgrpc" // exporters named otlp_grpc; otelconf links gRPC anyway
)

func init() { otelsetup.RegisterConfigFile(read) }

// read translates a file.
func read(file string) (*otelsetup.ConfigFile, error) {
	text, err := readBounded(file)
	if err != nil {
		return nil, fmt.Errorf("must be a file that can be read: %w", err)
	}
	if err := checkAliases(text); err != nil {
		return nil, notUnderstood(err)
	}
	model, err := otelconf.ParseYAML(text)
	if err != nil {
		return nil, notUnderstood(err)
	}
	root, err := tree(text)
	if err != nil {
		return nil, notUnderstood(err)
	}
	t := translation{document: newDocument(root)}
	config := t.configFile()
	if model.MeterProvider != nil {
		config.Meters = meters(*model)
	}
	return config, errors.Join(t.errs...)
}

const (
	// mostBytes bounds a file. The largest configurations have a few thousand
	// bytes, and what is larger is another file, or an endless one.
	mostBytes = 1 << 20
	// mostNodes bounds the values of a file with its aliases written out, which
	// a few lines can make billions.
	mostNodes = 100_000
)

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file) //nolint:gosec // that is what the variable is for
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(text) > mostBytes {
		err = fmt.Errorf("it has more than %d bytes", mostBytes)
	}
	return text, err
}

// checkAliases counts the values of a document as if its aliases were written
// out, without writing them out. Whether it is YAML at all is for otelconf to
// say.
func checkAliases(text []byte) error {
	var root yaml.Node
	if yaml.Unmarshal(text, &root) != nil {
		return nil //nolint:nilerr // see above
	}
	sizes := map[*yaml.Node]int{}
	var count func(n *yaml.Node) int
	count = func(n *yaml.Node) int {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if size, known := sizes[n]; known {
			return size
		}
		sizes[n] = mostNodes + 1 // of a value that is in itself
		size := 1
		for _, inner := range n.Content {
			size = min(size+count(inner), mostNodes+1)
		}
		sizes[n] = size
		return size
	}
	if count(&root) > mostNodes {
		return fmt.Errorf("it has more than %d values, with its aliases written out", mostNodes)
	}
	return nil
}

// notUnderstood puts what otelconf says in several lines into one.
func notUnderstood(err error) error {
	return errors.New("must be a file of the declarative configuration: " + strings.ReplaceAll(err.Error(), "\n", ": "))
}

// tree is the file as maps, lists and scalars, with its variables replaced.
// otelconf leaves out what its types do not have, such as the names of other
// samplers, except in the value of an attribute: so the file is read once more
// as one.
func tree(text []byte) (map[string]any, error) {
	wrapped := bytes.NewBufferString("file_format: \"1.0\"\nresource:\n  attributes:\n    - name: file\n      value:\n")
	for line := range bytes.Lines(text) {
		wrapped.WriteString("        ")
		wrapped.Write(line)
	}
	model, err := otelconf.ParseYAML(wrapped.Bytes())
	if err != nil {
		return nil, err
	}
	root, _ := model.Resource.Attributes[0].Value.(map[string]any)
	return root, nil
}

// meters makes the meter provider of the file.
func meters(model otelconf.OpenTelemetryConfiguration) func(context.Context, *resource.Resource) (otelsetup.MeterProvider, error) {
	model.TracerProvider, model.LoggerProvider, model.Propagator = nil, nil, nil
	for _, r := range model.MeterProvider.Readers {
		if r.Periodic != nil && r.Periodic.Exporter.OTLPHttp != nil && r.Periodic.Exporter.OTLPHttp.Endpoint == nil {
			standard := "http://localhost:4318/v1/metrics" // the format's default; without it, https is used
			r.Periodic.Exporter.OTLPHttp.Endpoint = &standard
		}
	}
	return func(ctx context.Context, res *resource.Resource) (otelsetup.MeterProvider, error) {
		schema := res.SchemaURL()
		model.Resource = &otelconf.Resource{SchemaUrl: &schema}
		for _, a := range res.Attributes() {
			model.Resource.Attributes = append(model.Resource.Attributes,
				otelconf.AttributeNameValue{Name: string(a.Key), Value: a.Value.AsInterface()})
		}
		sdk, err := otelconf.NewSDK(otelconf.WithContext(ctx), otelconf.WithOpenTelemetryConfiguration(model))
		if err != nil {
			return sdkmetric.NewMeterProvider(), fmt.Errorf("OTEL_CONFIG_FILE: meter_provider: %w", err)
		}
		provider, ok := sdk.MeterProvider().(otelsetup.MeterProvider)
		if !ok {
			return sdkmetric.NewMeterProvider(), errors.New("OTEL_CONFIG_FILE: meter_provider: not the SDK's")
		}
		return provider, nil
	}
}
