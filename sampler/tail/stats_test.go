package tail_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/clewtrace/clew/sampler/tail"
)

func TestMetrics(t *testing.T) {
	reader := metric.NewManualReader()
	meters := metric.NewMeterProvider(metric.WithReader(reader))
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}, MeterProvider: meters})
	for _, code := range []codes.Code{codes.Error, codes.Ok, codes.Ok} {
		ctx, root := s.Start(context.Background(), "root")
		root.SetStatus(code, "")
		root.End()
		_, late := s.Start(ctx, "late")
		late.End()
	}
	ctx, open := s.Start(context.Background(), "open")
	_, child := s.Start(ctx, "child")
	child.End()
	got := collect(t, reader)
	for name, want := range map[string]int64{
		"clew.tail.traces.kept/error": 1, "clew.tail.traces.kept/head": 0, "clew.tail.traces.dropped/": 2,
		"clew.tail.spans.kept/": 2, "clew.tail.spans.dropped/": 4, "clew.tail.spans.late/": 3,
		"clew.tail.undecided.traces/": 1, "clew.tail.undecided.spans/": 1, "clew.tail.early/timeout": 0,
	} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s is %d (found: %t), want %d", name, n, ok, want)
		}
	}
	if got["clew.tail.undecided.size/"] < 100 {
		t.Errorf("a span takes %d bytes", got["clew.tail.undecided.size/"])
	}
	open.End()
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, reader); len(got) != 0 {
		t.Errorf("after Shutdown there are still %v", got)
	}
}

// collect returns the sums by name and attribute value.
func collect(t *testing.T, reader metric.Reader) map[string]int64 {
	t.Helper()
	var data metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &data); err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				t.Fatalf("%s is a %T", m.Name, m.Data)
			}
			for _, point := range sum.DataPoints {
				label := ""
				if kv, ok := point.Attributes.Get(0); ok {
					label = kv.Value.String()
				}
				sums[m.Name+"/"+label] = point.Value
			}
		}
	}
	return sums
}
