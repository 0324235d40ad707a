package delivery_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/otlpjson"
)

// TestJSONIsMadeAtTheDoor: what waits is protobuf, which is joined and divided, and what
// arrives is JSON. An item that JSON cannot hold does not take others with it.
func TestJSONIsMadeAtTheDoor(t *testing.T) {
	deep := &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: "x"}}
	for range 150 {
		deep = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{deep}}}}
	}
	spans := []*tracepb.Span{{Name: "deep", TraceId: make([]byte, 16), Attributes: []*commonpb.KeyValue{{Key: "k", Value: deep}}}}
	var names []string
	for i := range 40 {
		names = append(names, fmt.Sprint("n", i))
		spans = append(spans, &tracepb.Span{Name: names[i], TraceId: make([]byte, 16), SpanId: make([]byte, 8)})
	}
	body, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, gzip := range []bool{false, true} {
		t.Run(fmt.Sprint("gzip=", gzip), func(t *testing.T) {
			s := newStoppedSink(t)
			s.fault = func(w http.ResponseWriter, r *http.Request, body []byte) bool {
				var req coltracepb.ExportTraceServiceRequest
				if err := otlpjson.Unmarshal(body, &req); err != nil || r.Header.Get("Content-Type") != "application/json" || (r.Header.Get("Content-Encoding") == "gzip") != gzip {
					t.Errorf("%v: %q with %v", err, body, r.Header)
				}
				all := spansOf(&req)
				if len(all) > 10 {
					w.WriteHeader(http.StatusRequestEntityTooLarge)
					return true
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, span := range all {
					s.spans[span.Name]++
				}
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte("{}"))
				return true
			}
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			via(t, tr.ClientVia(delivery.Traces, delivery.Route{JSON: true, Gzip: gzip}), s.URL+"/v1/traces", body)
			flush(t, tr)
			if lost, twice := s.lost(names); lost+twice != 0 {
				t.Errorf("%d lost, %d twice", lost, twice)
			}
			if st := tr.Stats(delivery.Traces); st.Delivered != 40 || st.Dropped["corrupt"] != 1 || st.Queued != 0 {
				t.Errorf("%+v: want 40 delivered and one corrupt", st)
			}
			h.all(t, tr)
			if d := h.drops(); len(d) != 1 || !strings.Contains(d[0].Error(), `span "deep" of trace 0000`) {
				t.Errorf("told %v", d)
			}
		})
	}
}

func spansOf(req *coltracepb.ExportTraceServiceRequest) (all []*tracepb.Span) {
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			all = append(all, ss.Spans...)
		}
	}
	return all
}
