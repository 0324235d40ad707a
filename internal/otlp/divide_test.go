package otlp_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// TestMetricsDivided divides the same data at each bound from 1 to the length of the
// whole: the parts hold what the whole holds, in its order, and keep the bound.
func TestMetricsDivided(t *testing.T) {
	for seed := range uint64(8) {
		rm := (&randomInput{Rand: rand.New(rand.NewPCG(seed, 1))}).resourceMetrics()
		whole := encodeMetrics(rm, 0)[0]
		if len(whole) > 1000 {
			continue // the time grows with the third power
		}
		want := flatten(decodeMetrics(t, whole))
		for bound := 1; bound <= len(whole)+1; bound++ {
			var got []string
			for _, request := range encodeMetrics(rm, bound) {
				m := decodeMetrics(t, request)
				if n := proto.Size(m); n != len(request) {
					t.Fatalf("seed %d, bound %d: %d bytes for what takes %d", seed, bound, len(request), n)
				}
				units := flatten(m)
				if heads := longestHead(m); len(request) > bound && len(units) > 1 && (heads < bound || len(request) > bound+heads) {
					t.Fatalf("seed %d, bound %d: %d bytes:\n%s", seed, bound, len(request), prototext.Format(m))
				}
				got = append(got, units...)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, bound %d: got\n%s\nwant\n%s", seed, bound, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

// TestMetricsFillRequests divides points of one metric: no request but the last has
// room for another point.
func TestMetricsFillRequests(t *testing.T) {
	rm := manyPoints(50)
	whole := len(encodeMetrics(rm, 0)[0])
	for bound := 100; bound <= whole; bound++ {
		requests := encodeMetrics(rm, bound)
		for i, request := range requests[:len(requests)-1] {
			m := decodeMetrics(t, request)
			gauge := m.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].GetGauge()
			gauge.DataPoints = append(gauge.DataPoints, gauge.DataPoints[0])
			if len(request) > bound || proto.Size(m) <= bound {
				t.Fatalf("bound %d: request %d has %d bytes, with another point %d", bound, i, len(request), proto.Size(m))
			}
		}
	}
}

// TestMetricsWithLongHeads proves that what a request must repeat does not make a
// request of each point.
func TestMetricsWithLongHeads(t *testing.T) {
	rm := manyPoints(1000)
	rm.ScopeMetrics[0].Metrics[0].Description = strings.Repeat("x", 1000)
	if n := len(encodeMetrics(rm, 1000)); n > 20 {
		t.Errorf("%d requests for 1000 points of about 14 bytes", n)
	}
}

func manyPoints(n int) *metricdata.ResourceMetrics {
	return &metricdata.ResourceMetrics{Resource: resource.Empty(), ScopeMetrics: []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: "scope"},
		Metrics: []metricdata.Metrics{{Name: "m", Data: metricdata.Gauge[int64]{DataPoints: make([]metricdata.DataPoint[int64], n)}}},
	}}}
}

// encodeMetrics returns the requests, and panics if one has another number of points
// than Metrics says.
func encodeMetrics(rm *metricdata.ResourceMetrics, bound int) (requests [][]byte) {
	_ = otlp.Metrics(rm, nil, bound, func(request []byte, points int64) { // invalid metrics are left out
		m := &colmetrics.ExportMetricsServiceRequest{}
		if err := proto.Unmarshal(request, m); err != nil || int64(countPoints(m)) != points {
			panic(fmt.Sprintf("%d points, told of %d: %v", countPoints(m), points, err))
		}
		requests = append(requests, request)
	})
	return requests
}

// flatten returns each data point with all that it lies in, and each message that has
// none.
func flatten(r *colmetrics.ExportMetricsServiceRequest) (units []string) {
	unit := func(messages ...proto.Message) {
		var text strings.Builder
		for _, m := range messages {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
			fmt.Fprintf(&text, "%q %v ", b, err)
		}
		units = append(units, text.String())
	}
	for _, rm := range r.ResourceMetrics {
		scopes := rm.ScopeMetrics
		rm := &metricspb.ResourceMetrics{Resource: rm.Resource, SchemaUrl: rm.SchemaUrl}
		if len(scopes) == 0 {
			unit(rm)
		}
		for _, sm := range scopes {
			metrics := sm.Metrics
			sm := &metricspb.ScopeMetrics{Scope: sm.Scope, SchemaUrl: sm.SchemaUrl}
			if len(metrics) == 0 {
				unit(rm, sm)
			}
			for _, m := range metrics {
				m := proto.CloneOf(m)
				points := takePoints(m)
				if len(points) == 0 {
					unit(rm, sm, m)
				}
				for _, p := range points {
					unit(rm, sm, m, p)
				}
			}
		}
	}
	return units
}

// longestHead returns the length of the longest request that the request would be with
// one of its metrics, without points.
func longestHead(r *colmetrics.ExportMetricsServiceRequest) (longest int) {
	for _, rm := range r.ResourceMetrics {
		head := &metricspb.ResourceMetrics{Resource: rm.Resource, SchemaUrl: rm.SchemaUrl}
		longest = max(longest, proto.Size(&colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{head}}))
		for _, sm := range rm.ScopeMetrics {
			scope := &metricspb.ScopeMetrics{Scope: sm.Scope, SchemaUrl: sm.SchemaUrl}
			head.ScopeMetrics = []*metricspb.ScopeMetrics{scope}
			longest = max(longest, proto.Size(&colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{head}}))
			for _, m := range sm.Metrics {
				m := proto.CloneOf(m)
				takePoints(m)
				scope.Metrics = []*metricspb.Metric{m}
				longest = max(longest, proto.Size(&colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{head}}))
			}
		}
	}
	return longest
}
