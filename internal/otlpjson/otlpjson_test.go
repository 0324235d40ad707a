package otlpjson_test

import (
	"strings"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpjson"
)

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	spanID  = "b7ad6b7169203331"
)

// Each request has an id wherever its signal has one, and bytes that are no id.
var requests = map[string]struct {
	empty proto.Message
	json  string
}{
	"traces": {&coltrace.ExportTraceServiceRequest{}, `{"resourceSpans":[{"resource":{"attributes":[{"key":"trace_id","value":{"bytesValue":"AAEC"}}]},
		"scopeSpans":[{"spans":[{"traceId":"` + traceID + `","spanId":"` + spanID + `","parentSpanId":"` + spanID + `","kind":2,
		"links":[{"traceId":"` + traceID + `","spanId":"` + spanID + `"}]}]}]}]}`},
	"logs": {&collogs.ExportLogsServiceRequest{}, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":9,
		"body":{"kvlistValue":{"values":[{"key":"span_id","value":{"bytesValue":"AAEC"}}]}},"traceId":"` + traceID + `","spanId":"` + spanID + `"}]}]}]}`},
	"metrics": {&colmetrics.ExportMetricsServiceRequest{}, `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","sum":{"dataPoints":[
		{"exemplars":[{"asInt":"1","spanId":"` + spanID + `","traceId":"` + traceID + `"}]}]}}]}]}]}`},
}

func TestRoundTrip(t *testing.T) {
	for signal, request := range requests {
		t.Run(signal, func(t *testing.T) {
			msg := proto.Clone(request.empty)
			if err := otlpjson.Unmarshal([]byte(request.json), msg); err != nil {
				t.Fatal(err)
			}
			before := proto.Clone(msg)
			text, err := otlpjson.Marshal(msg)
			if err != nil || !proto.Equal(msg, before) {
				t.Fatalf("Marshal changed the message, or failed: %v", err)
			}
			compact := func(s string) string {
				return strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(s)
			}
			if compact(string(text)) != compact(request.json) {
				t.Errorf("got %s, want %s", text, request.json)
			}
		})
	}
}

func TestUnmarshal(t *testing.T) {
	span := func(fields string) string { return `{"resourceSpans":[{"scopeSpans":[{"spans":[{` + fields + `}]}]}]}` }
	for _, tt := range []struct {
		rule, text string
		wantErr    string
	}{
		{"upper-case hex", span(`"traceId":"` + strings.ToUpper(traceID) + `"`), ""},
		{"no id", span(`"traceId":"","name":"x"`), ""},
		{"unknown fields", span(`"future":{"a":[1]}`), ""},
		{"base64", span(`"spanId":"t61rcWkgMzE="`), "is not in hex"},
		{"an id that is no text", span(`"spanId":1`), "spanId"},
		{"an id in a link", span(`"links":[{"spanId":"zzzzzzzzzzzzzzzz"}]`), "is not in hex"},
		{"too deep", span(`"attributes":[{"key":"a","value":` + strings.Repeat(`{"arrayValue":{"values":[`, 40) + strings.Repeat(`]}}`, 40) + `}]`), "depth"},
	} {
		var msg coltrace.ExportTraceServiceRequest
		err := otlpjson.Unmarshal([]byte(tt.text), &msg)
		if (err == nil) != (tt.wantErr == "") || err != nil && !strings.Contains(err.Error(), tt.wantErr) {
			t.Errorf("%s: error %v, want one with %q", tt.rule, err, tt.wantErr)
		}
	}
}
