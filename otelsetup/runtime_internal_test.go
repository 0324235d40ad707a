package otelsetup

import (
	"math"
	"reflect"
	"runtime/debug"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// described is what a metric is, without its values.
type described struct {
	unit, description string
	monotonic         bool
	attributes        map[attribute.Distinct]bool
}

// TestRuntimeMetricsAreThoseOfContrib has the metrics of contrib's package
// runtime as the oracle: names, units, kinds, descriptions and attributes, with a
// memory limit and without. Its values may be 15 s old, and are not compared.
func TestRuntimeMetricsAreThoseOfContrib(t *testing.T) {
	for _, limit := range []int64{math.MaxInt64, 1 << 40} {
		previous := debug.SetMemoryLimit(limit)
		t.Cleanup(func() { debug.SetMemoryLimit(previous) })
		ours, theirs := collected(t, func(p *sdkmetric.MeterProvider) error { return observeRuntime(p) }), collected(t, func(p *sdkmetric.MeterProvider) error {
			return runtime.Start(runtime.WithMeterProvider(p))
		})
		if !reflect.DeepEqual(ours, theirs) {
			t.Errorf("limit %d: %v\nwant %v", limit, ours, theirs)
		}
	}
}

func collected(t *testing.T, start func(*sdkmetric.MeterProvider) error) map[string]described {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	if err := start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))); err != nil {
		t.Fatal(err)
	}
	var data metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &data); err != nil {
		t.Fatal(err)
	}
	found := map[string]described{}
	for _, m := range data.ScopeMetrics[0].Metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			t.Fatalf("%s is a %T", m.Name, m.Data)
		}
		d := described{unit: m.Unit, description: m.Description, monotonic: sum.IsMonotonic, attributes: map[attribute.Distinct]bool{}}
		for _, p := range sum.DataPoints {
			d.attributes[p.Attributes.Equivalent()] = true
			if p.Value < 0 || p.Value == 0 && m.Name != "go.memory.used" {
				t.Errorf("%s is %d", m.Name, p.Value)
			}
		}
		found[m.Name] = d
	}
	return found
}
