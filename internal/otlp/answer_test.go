package otlp_test

import (
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
)

// The oracle is the messages of OTLP and the protobuf runtime.
func TestAnswerIsTheMessageOfOTLP(t *testing.T) {
	for _, a := range []otlp.Answer{{}, {Rejected: 1}, {Message: "slow down"}, {Rejected: 1<<62 + 1, Message: `"quoted" — <é>`}} {
		traces, metrics, logs := &coltrace.ExportTraceServiceResponse{}, &colmetrics.ExportMetricsServiceResponse{}, &collogs.ExportLogsServiceResponse{}
		if a != (otlp.Answer{}) {
			traces.PartialSuccess = &coltrace.ExportTracePartialSuccess{RejectedSpans: a.Rejected, ErrorMessage: a.Message}
			metrics.PartialSuccess = &colmetrics.ExportMetricsPartialSuccess{RejectedDataPoints: a.Rejected, ErrorMessage: a.Message}
			logs.PartialSuccess = &collogs.ExportLogsPartialSuccess{RejectedLogRecords: a.Rejected, ErrorMessage: a.Message}
		}
		for rejected, want := range map[string]proto.Message{"rejectedSpans": traces, "rejectedDataPoints": metrics, "rejectedLogRecords": logs} {
			got := proto.Clone(want)
			if err := proto.Unmarshal(a.Append(nil), got); err != nil || !proto.Equal(got, want) {
				t.Errorf("%+v encoded: %v, %v; want %v", a, got, err, want)
			}
			text, err := a.JSON(rejected)
			if err != nil {
				t.Fatal(err)
			}
			if err := protojson.Unmarshal(text, got); err != nil || !proto.Equal(got, want) {
				t.Errorf("%+v as JSON: %s, %v; want %v", a, text, err, want)
			}
			binary, err := proto.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := otlp.DecodeAnswer(binary); err != nil || got != a {
				t.Errorf("%x decoded: %+v, %v; want %+v", binary, got, err, a)
			}
			if text, err = protojson.Marshal(want); err != nil {
				t.Fatal(err)
			}
			if got, err := otlp.DecodeAnswerJSON(text); err != nil || got != a {
				t.Errorf("%s decoded: %+v, %v; want %+v", text, got, err, a)
			}
		}
	}
}

func TestAnswerThatIsNone(t *testing.T) {
	for _, body := range []string{"<html>", "\x0a", "\x0a\x7f", "\x0a\x02\x12\x7f", "\xff"} {
		if a, err := otlp.DecodeAnswer([]byte(body)); err == nil {
			t.Errorf("%q decoded: %+v", body, a)
		}
	}
	if a, err := otlp.DecodeAnswerJSON([]byte(`[]`)); err == nil {
		t.Errorf("a list decoded: %+v", a)
	}
	// A number below zero is none, nor is a number that is a text.
	if a, err := otlp.DecodeAnswer(otlp.Answer{Rejected: -1}.Append(nil)); err != nil || a.Rejected != 0 {
		t.Errorf("below zero: %+v, %v", a, err)
	}
	if a, err := otlp.DecodeAnswerJSON([]byte(`{"partialSuccess":{"rejectedSpans":"many","errorMessage":"too old"}}`)); err != nil || a != (otlp.Answer{Message: "too old"}) {
		t.Errorf("a text: %+v, %v", a, err)
	}
}
