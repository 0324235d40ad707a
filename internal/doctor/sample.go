package doctor

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
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
	traces          *coltrace.ExportTraceServiceRequest
	metrics         *colmetrics.ExportMetricsServiceRequest
	logs            *collogs.ExportLogsServiceRequest
}

func newSample(res *resource.Resource, now time.Time) *sample {
	s := &sample{traceID: make([]byte, 16), spanID: make([]byte, 8)}
	rand.Read(s.traceID) //nolint:errcheck // never fails
	rand.Read(s.spanID)  //nolint:errcheck // never fails
	from := &resourcepb.Resource{Attributes: attributes(res)}
	scope := &commonpb.InstrumentationScope{Name: "github.com/clewtrace/clew/cmd/clew doctor"}
	end := uint64(now.UnixNano()) //nolint:gosec // not before 1970
	const sampledAndRandom = 3
	s.traces = &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: from, ScopeSpans: []*tracepb.ScopeSpans{{Scope: scope, Spans: []*tracepb.Span{{
			TraceId: s.traceID, SpanId: s.spanID, Name: "clew doctor", Kind: tracepb.Span_SPAN_KIND_INTERNAL, Flags: sampledAndRandom,
			StartTimeUnixNano: end - uint64(time.Millisecond), EndTimeUnixNano: end,
		}}}},
	}}}
	s.metrics = &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource: from, ScopeMetrics: []*metricspb.ScopeMetrics{{Scope: scope, Metrics: []*metricspb.Metric{{
			Name: "clew.doctor.runs", Description: "a test by clew doctor", Unit: "{run}",
			Data: &metricspb.Metric_Gauge{Gauge: &metricspb.Gauge{DataPoints: []*metricspb.NumberDataPoint{{
				TimeUnixNano: end, Value: &metricspb.NumberDataPoint_AsInt{AsInt: 1},
			}}}},
		}}}},
	}}}
	s.logs = &collogs.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		Resource: from, ScopeLogs: []*logspb.ScopeLogs{{Scope: scope, LogRecords: []*logspb.LogRecord{{
			TimeUnixNano: end, ObservedTimeUnixNano: end, SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_INFO, SeverityText: "INFO",
			Body: text("a test by clew doctor"), TraceId: s.traceID, SpanId: s.spanID, Flags: sampledAndRandom,
		}}}},
	}}}
	return s
}

func (s *sample) id() string { return hex.EncodeToString(s.traceID) }

// request of a signal, and an empty answer to it.
func (s *sample) request(signal string) (request, answer proto.Message) {
	switch signal {
	case signalTraces:
		return s.traces, &coltrace.ExportTraceServiceResponse{}
	case signalMetrics:
		return s.metrics, &colmetrics.ExportMetricsServiceResponse{}
	default:
		return s.logs, &collogs.ExportLogsServiceResponse{}
	}
}

// refused is what the receiver left out of the request it accepted.
func refused(answer proto.Message) (items int64, reason string) {
	switch m := answer.(type) {
	case *coltrace.ExportTraceServiceResponse:
		return m.GetPartialSuccess().GetRejectedSpans(), m.GetPartialSuccess().GetErrorMessage()
	case *colmetrics.ExportMetricsServiceResponse:
		return m.GetPartialSuccess().GetRejectedDataPoints(), m.GetPartialSuccess().GetErrorMessage()
	case *collogs.ExportLogsServiceResponse:
		return m.GetPartialSuccess().GetRejectedLogRecords(), m.GetPartialSuccess().GetErrorMessage()
	}
	return 0, ""
}

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
