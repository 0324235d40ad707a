package stack_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
)

// one of each signal, as an exporter sends it.
var oneOfEach = map[delivery.Signal]proto.Message{
	delivery.Traces: &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "span", TraceId: make([]byte, 16), SpanId: make([]byte, 8)}}}},
	}}},
	delivery.Metrics: &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{
			Name: "metric", Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{{}}}},
		}}}},
	}}},
	delivery.Logs: &collogs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: []*logspb.LogRecord{{}}}},
	}}},
}

// startTroubledSender runs a sender that has every trouble that the dashboard
// Delivery shows: a server that is away, one that fails now and then, and one
// that refuses.
func startTroubledSender(t *testing.T, s stores) {
	t.Helper()
	exporter, err := otlpmetrichttp.New(t.Context(), otlpmetrichttp.WithEndpointURL(s.prometheus+"/api/v1/otlp/v1/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdkmetric.NewMeterProvider(
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(time.Second))),
		sdkmetric.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "sender"), attribute.String("deployment.environment.name", environment))))
	transport, err := delivery.New(delivery.Config{
		MaxBackoff: time.Second, ErrorHandler: quiet{},
	})
	if err != nil {
		t.Fatal(err)
	}
	transport.Observe(provider)
	var asked atomic.Int64
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%4 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	done := make(chan struct{})
	ended := make(chan struct{})
	t.Cleanup(func() {
		close(done)
		<-ended
		_ = transport.Shutdown(t.Context()) // there is a server that is away
		_ = provider.Shutdown(t.Context())
		failing.Close()
		refusing.Close()
	})
	go func() {
		defer close(ended)
		for {
			for signal, message := range oneOfEach {
				for _, server := range []string{"http://127.0.0.1:1", failing.URL, refusing.URL} {
					send(t, transport.Client(signal), server, message)
				}
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-done:
				return
			}
		}
	}()
}

type quiet struct{}

func (quiet) Handle(error) {}

func send(t *testing.T, client *http.Client, server string, message proto.Message) {
	t.Helper()
	body, err := proto.Marshal(message)
	if err != nil {
		t.Error(err)
		return
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server+"/v1/any", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	if res, err := client.Do(req); err == nil {
		res.Body.Close()
	}
}
