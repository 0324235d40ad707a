package delivery_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clewtrace/clew/delivery"
)

func TestSelfMetrics(t *testing.T) {
	s := newStoppedSink(t)
	s.fault = func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
		if spanNames(body)[0] == "bad" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	s.Start()
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	cfg := quick(new(handled))
	cfg.MeterProvider = mp
	tr := newTransport(t, cfg)
	post(t, tr, delivery.Traces, s.URL, traceRequest("a", "b"))
	post(t, tr, delivery.Traces, s.URL, traceRequest("bad", "c", "d"))
	flush(t, tr)

	collect := func() map[string]map[string]int64 {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]map[string]int64) // by name and error.type
		for _, sm := range rm.ScopeMetrics {
			for _, m := range sm.Metrics {
				got[m.Name] = make(map[string]int64)
				key := func(set attribute.Set) string {
					v, _ := set.Value("error.type")
					return v.AsString()
				}
				switch data := m.Data.(type) {
				case metricdata.Sum[int64]:
					for _, p := range data.DataPoints {
						got[m.Name][key(p.Attributes)] += p.Value
					}
				case metricdata.Histogram[float64]:
					for _, p := range data.DataPoints {
						got[m.Name][key(p.Attributes)] += int64(p.Count) //nolint:gosec // small
					}
				}
			}
		}
		return got
	}
	got := collect()
	for _, want := range []struct {
		name, errorType string
		value           int64
	}{
		{"otel.sdk.exporter.span.exported", "", 2},
		{"otel.sdk.exporter.span.exported", "403", 3},
		{"otel.sdk.exporter.span.inflight", "", 0},
		{"otel.sdk.exporter.log.exported", "", 0},
		{"otel.sdk.exporter.metric_data_point.exported", "", 0},
		{"otel.sdk.exporter.operation.duration", "", 1},
		{"otel.sdk.exporter.operation.duration", "403", 1},
		{"clew.delivery.attempt.duration", "", 1},
		{"clew.delivery.attempt.duration", "403", 1},
		{"clew.delivery.retries", "", 0},
		{"clew.delivery.queue.size", "", 0},
	} {
		if v, ok := got[want.name][want.errorType]; !ok || v != want.value {
			t.Errorf("%s with error.type %q is %d, present %v: want %d", want.name, want.errorType, v, ok, want.value)
		}
	}
	if _, ok := got["clew.delivery.queue.age"]; !ok {
		t.Error("no clew.delivery.queue.age")
	}
	if err := tr.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if left := collect()["otel.sdk.exporter.span.exported"]; len(left) != 0 {
		t.Errorf("still observed after Shutdown: %v", left)
	}
}
