package otlpreceiver

import (
	"slices"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlp"
)

// acceptTraces hands the spans with valid ids to the sink.
func acceptTraces(sink Sink, req *tracepb.TracesData) otlp.Answer {
	var rejected int64
	for _, resource := range req.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			all := len(scope.GetSpans())
			scope.Spans = slices.DeleteFunc(scope.GetSpans(), func(s *tracepb.Span) bool {
				return !isID(s.GetTraceId(), 16) || !isID(s.GetSpanId(), 8) || !isNoneOr(s.GetParentSpanId(), 8) ||
					slices.ContainsFunc(s.GetLinks(), func(l *tracepb.Span_Link) bool {
						return !isNoneOr(l.GetTraceId(), 16) || !isNoneOr(l.GetSpanId(), 8)
					})
			})
			rejected += int64(all - len(scope.Spans))
		}
	}
	sink.AddTraces(req)
	if rejected == 0 {
		return otlp.Answer{}
	}
	return otlp.Answer{
		Rejected: rejected,
		Message:  "trace_id must be 16 bytes and span_id 8, not all zero; parent_span_id and the ids of links empty or of the same lengths",
	}
}

// acceptLogs hands the records whose ids are valid or absent to the sink.
func acceptLogs(sink Sink, req *logspb.LogsData) otlp.Answer {
	var rejected int64
	for _, resource := range req.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			all := len(scope.GetLogRecords())
			scope.LogRecords = slices.DeleteFunc(scope.GetLogRecords(), func(r *logspb.LogRecord) bool {
				return !isNoneOr(r.GetTraceId(), 16) || !isNoneOr(r.GetSpanId(), 8)
			})
			rejected += int64(all - len(scope.LogRecords))
		}
	}
	sink.AddLogs(req)
	if rejected == 0 {
		return otlp.Answer{}
	}
	return otlp.Answer{Rejected: rejected, Message: "trace_id must be empty or 16 bytes, span_id empty or 8"}
}

func isID(id []byte, length int) bool {
	return len(id) == length && slices.ContainsFunc(id, func(b byte) bool { return b != 0 })
}

// isNoneOr reports whether an id is empty or has the right length.
func isNoneOr(id []byte, length int) bool { return len(id) == 0 || len(id) == length }
