package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/otlpjson"
)

// serverMetrics is what a server has to export: for each of so many routes a histogram
// of durations and a counter, with four attributes and exemplars.
func serverMetrics(routes int) *metricdata.ResourceMetrics {
	now := time.Unix(1700000000, 0)
	bounds := []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	var durations []metricdata.HistogramDataPoint[float64]
	var counts []metricdata.DataPoint[int64]
	for i := range routes {
		set := attribute.NewSet(attribute.String("http.request.method", "GET"), attribute.String("http.route", fmt.Sprintf("/orders/%d/{id}", i)),
			attribute.Int("http.response.status_code", 200), attribute.String("url.scheme", "http"))
		durations = append(durations, metricdata.HistogramDataPoint[float64]{
			Attributes: set, StartTime: now, Time: now, Count: 100, Sum: 12.5, Bounds: bounds, BucketCounts: make([]uint64, len(bounds)+1),
			Min: metricdata.NewExtrema(0.001), Max: metricdata.NewExtrema(1.5),
			Exemplars: []metricdata.Exemplar[float64]{{Time: now, Value: 0.1, SpanID: []byte("01234567"), TraceID: []byte("0123456789abcdef")}},
		})
		counts = append(counts, metricdata.DataPoint[int64]{Attributes: set, StartTime: now, Time: now, Value: 100})
	}
	return &metricdata.ResourceMetrics{
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop")),
		ScopeMetrics: []metricdata.ScopeMetrics{{
			Scope: instrumentation.Scope{Name: "server"},
			Metrics: []metricdata.Metrics{
				{Name: "http.server.request.duration", Unit: "s", Data: metricdata.Histogram[float64]{Temporality: metricdata.CumulativeTemporality, DataPoints: durations}},
				{Name: "http.server.requests", Unit: "{request}", Data: metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true, DataPoints: counts}},
			},
		}},
	}
}

// TestMetricsAllocations proves that the encoder allocates for a request, not for its
// points.
func TestMetricsAllocations(t *testing.T) {
	allocations := func(routes int) float64 {
		rm := serverMetrics(routes)
		return testing.AllocsPerRun(10, func() {
			if err := otlp.Metrics(rm, nil, 0, func([]byte, int64) {}); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := allocations(10), allocations(1000); few != many {
		t.Errorf("%v allocations with 20 points, %v with 2000", few, many)
	}
}

// TestJSONAllocations proves that JSON is appended without other allocations.
func TestJSONAllocations(t *testing.T) {
	body := encodeMetrics(serverMetrics(100), 0)[0]
	b, err := otlp.AppendJSON(nil, otlp.MetricsRequest, body)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { b, err = otlp.AppendJSON(b[:0], otlp.MetricsRequest, body) }); n != 0 || err != nil {
		t.Errorf("%v allocations, error %v", n, err)
	}
}

// taker is a collector that takes everything at once.
type taker struct{}

func (taker) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

// Both make an HTTP request, since that is all that otlpmetrichttp offers, but to a
// collector without a socket.
func BenchmarkMetrics(b *testing.B) {
	const url = "http://collector.invalid"
	client := &http.Client{Transport: taker{}}
	for _, routes := range []int{1, 20, 500} {
		rm := serverMetrics(routes)
		b.Run(fmt.Sprintf("routes=%d/clew", routes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				err := otlp.Metrics(rm, nil, 1<<20, func(request []byte, _ int64) {
					r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(request))
					if err != nil {
						b.Fatal(err)
					}
					answer, err := client.Do(r)
					if err != nil {
						b.Fatal(err)
					}
					answer.Body.Close()
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("routes=%d/otlpmetrichttp", routes), func(b *testing.B) {
			b.ReportAllocs()
			stock := newStockExporter(b, url, client)
			for b.Loop() {
				if err := stock.Export(context.Background(), rm); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJSON(b *testing.B) {
	body := encodeMetrics(serverMetrics(20), 0)[0]
	b.Run("clew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := otlp.AppendJSON(nil, otlp.MetricsRequest, body); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("protojson", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			msg := requestMessages[otlp.MetricsRequest].ProtoReflect().New().Interface()
			if err := proto.Unmarshal(body, msg); err != nil {
				b.Fatal(err)
			}
			if _, err := otlpjson.Marshal(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}
