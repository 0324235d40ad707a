package doctor

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// sample is one span, one metric and one log record.
type sample struct {
	traceID, spanID []byte
	requests        map[string]proto.Message // by signal
}

func newSample(res *resource.Resource, now time.Time) *sample {
	s := &sample{traceID: make([]byte, 16), spanID: make([]byte, 8)}
	rand.Read(s.traceID) //nolint:errcheck // never fails
	rand.Read(s.spanID)  //nolint:errcheck // never fails
	from := &resourcepb.Resource{Attributes: attributes(res)}
	scope := &commonpb.InstrumentationScope{Name: "github.com/clewtrace/clew/cmd/clew doctor"}
	end := uint64(now.UnixNano()) //nolint:gosec // not before 1970
	const sampledAndRandom = 3
	traces := &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: from, ScopeSpans: []*tracepb.ScopeSpans{{Scope: scope, Spans: []*tracepb.Span{{
			TraceId: s.traceID, SpanId: s.spanID, Name: "clew doctor", Kind: tracepb.Span_SPAN_KIND_INTERNAL, Flags: sampledAndRandom,
			StartTimeUnixNano: end - uint64(time.Millisecond), EndTimeUnixNano: end,
		}}}},
	}}}
	metrics := &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: from, ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: scope, Metrics: []*metricspb.Metric{{
			Name: "clew.doctor.runs", Description: "a test by clew doctor", Unit: "{run}",
			Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{{
				TimeUnixNano: end, Value: &metricspb.NumberDataPoint_AsInt{AsInt: 1},
			}}}},
		}}}},
	}}}
	logs := &logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: from, ScopeLogs: []*logspb.ScopeLogs{{Scope: scope, LogRecords: []*logspb.LogRecord{{
			TimeUnixNano: end, ObservedTimeUnixNano: end, SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
			Body: text("a test by clew doctor"), TraceId: s.traceID, SpanId: s.spanID, Flags: sampledAndRandom,
		}}}},
	}}}
	s.requests = map[string]proto.Message{signalTraces: traces, signalMetrics: metrics, signalLogs: logs}
	return s
}

func (s *sample) id() string { return hex.EncodeToString(s.traceID) }

// attributes are those of the resource that describe the service, without those
// that describe this program.
func attributes(res *resource.Resource) []*commonpb.KeyValue {
	var attrs []*commonpb.KeyValue
	for _, a := range res.Attributes() {
		if strings.HasPrefix(string(a.Key), "process.") || a.Key == "service.version" && !strings.Contains(os.Getenv("OTEL_RESOURCE_ATTRIBUTES"), "service.version") {
			continue
		}
		v := text(a.Value.String())
		if a.Value.Type() == attribute.INT64 {
			v = &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: a.Value.AsInt64()}}
		}
		attrs = append(attrs, &commonpb.KeyValue{Key: string(a.Key), Value: v})
	}
	return attrs
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}
