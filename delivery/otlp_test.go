package delivery_test

import (
	"context"
	"net/http"
	"testing"

	metricpb "go.opentelemetry.io/proto/otlp/metrics/v1"

	colmetricpb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

// FuzzCountsAsDecodingDoes hands over arbitrary bodies: what is a valid message
// must be counted as a full decode counts it, and nothing may panic.
func FuzzCountsAsDecodingDoes(f *testing.F) {
	points := []*metricpb.NumberDataPoint{{}, {}}
	metrics, err := proto.Marshal(&colmetricpb.ExportMetricsServiceRequest{ResourceMetrics: []*metricpb.ResourceMetrics{{
		ScopeMetrics: []*metricpb.ScopeMetrics{{Metrics: []*metricpb.Metric{
			{Name: "g", Data: &metricpb.Metric_Gauge{Gauge: &metricpb.Gauge{DataPoints: points}}},
			{Name: "s", Data: &metricpb.Metric_Sum{Sum: &metricpb.Sum{DataPoints: points}}},
			{Name: "h", Data: &metricpb.Metric_Histogram{Histogram: &metricpb.Histogram{DataPoints: []*metricpb.HistogramDataPoint{{}}}}},
		}}},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(delivery.Traces), traceRequest("a", "b", "c"))
	f.Add(uint8(delivery.Metrics), metrics)
	f.Add(uint8(delivery.Logs), traceRequest("a"))
	f.Add(uint8(delivery.Traces), []byte{0x0a, 0xff})
	f.Fuzz(func(t *testing.T, signal uint8, body []byte) {
		s := delivery.Signal(signal % 3)
		want := decoded(s, body)
		if s == delivery.Metrics && want > 0 && oneofTwice(body) {
			return // a decoder keeps the last of two members of a oneof
		}
		tr := newTransport(t, delivery.Config{Base: nowhere{}, ErrorHandler: new(handled)})
		post(t, tr, s, "http://nowhere", body)
		if got := tr.Stats(s).Queued; want >= 0 && got != int64(want) {
			t.Errorf("counted %d, decoding counts %d", got, want)
		}
	})
}

// oneofTwice reports whether encoding the decoded message again changes its
// size, as it does if a metric holds two kinds of data.
func oneofTwice(body []byte) bool {
	var req colmetricpb.ExportMetricsServiceRequest
	return proto.Unmarshal(body, &req) == nil && proto.Size(&req) != len(body)
}

// nowhere never answers.
type nowhere struct{}

func (nowhere) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}
