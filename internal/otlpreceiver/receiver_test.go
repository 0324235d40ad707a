package otlpreceiver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpjson"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	protobuf = "application/x-protobuf"
	asJSON   = "application/json"
)

// request has one span, of the service "shop".
func request(attrs ...*commonpb.KeyValue) *coltrace.ExportTraceServiceRequest {
	service := &commonpb.KeyValue{Key: "service.name", Value: text("shop")}
	return &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{service}},
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{
			TraceId: bytes.Repeat([]byte{1}, 16), SpanId: bytes.Repeat([]byte{2}, 8), Name: "sell", Attributes: attrs,
		}}}},
	}}}
}

func text(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}

// nested is an attribute with lists in lists.
func nested(depth int) *commonpb.KeyValue {
	v := text("core")
	for range depth {
		v = &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{v}}}}
	}
	return &commonpb.KeyValue{Key: "nested", Value: v}
}

func marshal(tb testing.TB, msg proto.Message) []byte {
	tb.Helper()
	b, err := proto.Marshal(msg)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func marshalJSON(tb testing.TB, msg proto.Message) []byte {
	tb.Helper()
	b, err := otlpjson.Marshal(msg)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(b) //nolint:errcheck // a bytes.Buffer takes all
	z.Close()  //nolint:errcheck // the same
	return out.Bytes()
}

func post(store *otlpreceiver.Store, path, contentType, encoding string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	w := httptest.NewRecorder()
	store.Handler().ServeHTTP(w, r)
	return w
}

// example is a request of the specification's JSON encoding: ids in hex,
// enumerations as numbers, 64-bit integers as strings, unknown fields.
const example = `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"scope":{"name":"lib"},
"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","name":"sell","kind":2,
"startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000","flags":257,"unknown":{"a":[1]},
"attributes":[{"key":"n","value":{"intValue":"9007199254740993"}},{"key":"traceId","value":{"stringValue":"left alone"}},{"key":"raw","value":{"bytesValue":"AQI="}}],
"links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175"}],"status":{"code":2}}]}]}]}`

func TestHTTPAccepts(t *testing.T) {
	for _, test := range []struct {
		name, contentType, encoding string
		body                        []byte
	}{
		{"protobuf", protobuf, "", marshal(t, request())},
		{"protobuf, gzip", protobuf, "gzip", compress(marshal(t, request()))},
		{"JSON", asJSON + "; charset=utf-8", "", []byte(example)},
		{"JSON, gzip", asJSON, "gzip", compress([]byte(example))},
		{"attributes nested as far as allowed", protobuf, "", marshal(t, request(nested(20)))},
		{"attributes nested as far as allowed, JSON", asJSON, "", marshalJSON(t, request(nested(20)))},
	} {
		t.Run(test.name, func(t *testing.T) {
			var store otlpreceiver.Store
			w := post(&store, "/v1/traces", test.contentType, test.encoding, test.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(test.contentType, got) {
				t.Errorf("answered in %s", got)
			}
			spans := store.Spans()
			if len(spans) != 1 || spans[0].Service() != "shop" || spans[0].GetName() != "sell" {
				t.Errorf("got %v", spans)
			}
		})
	}
}

func TestJSONEncoding(t *testing.T) {
	var store otlpreceiver.Store
	if w := post(&store, "/v1/traces", asJSON, "", []byte(example)); w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	s := store.Spans()[0]
	for name, test := range map[string]struct {
		got  []byte
		want string
	}{
		"trace id": {s.GetTraceId(), "5b8efff798038103d269b633813fc60c"}, "span id": {s.GetSpanId(), "eee19b7ec3c1b174"}, "parent": {s.GetParentSpanId(), "eee19b7ec3c1b173"},
		"linked trace": {s.GetLinks()[0].GetTraceId(), "5b8efff798038103d269b633813fc60d"}, "linked span": {s.GetLinks()[0].GetSpanId(), "eee19b7ec3c1b175"},
		"bytes stay base64": {otlpreceiver.Attribute(s.GetAttributes(), "raw").GetBytesValue(), "0102"},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("%s is %s, want %s", name, got, test.want)
		}
	}
	if got := otlpreceiver.Attribute(s.GetAttributes(), "n").GetIntValue(); got != 9007199254740993 {
		t.Errorf("the integer is %d", got)
	}
	if got := otlpreceiver.Attribute(s.GetAttributes(), "traceId").GetStringValue(); got != "left alone" {
		t.Errorf("the attribute traceId is %q", got)
	}
	if s.GetKind() != tracepb.Span_SPAN_KIND_SERVER || s.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR {
		t.Errorf("kind %v, status %v", s.GetKind(), s.GetStatus())
	}
	// And back.
	again := &coltrace.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{s.Span}}}}}}
	b, err := otlpjson.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	var second otlpreceiver.Store
	if w := post(&second, "/v1/traces", asJSON, "", b); w.Code != http.StatusOK || !proto.Equal(second.Spans()[0].Span, s.Span) {
		t.Errorf("status %d, %s", w.Code, b)
	}
}

func TestHTTPRefuses(t *testing.T) {
	valid := marshal(t, request())
	large := bytes.Repeat([]byte{0}, otlpreceiver.MaxBody+1)
	manySpans := bytes.Repeat([]byte{0x12, 0x00}, 1_000_001) // empty spans of a scope
	many := wrap(wrap(manySpans, 2), 1)
	for _, test := range []struct {
		name, contentType, encoding string
		body                        []byte
		status                      int
	}{
		{"another content type", "text/plain", "", valid, 415},
		{"no content type", "", "", valid, 415},
		{"another encoding", protobuf, "br", valid, 400},
		{"not gzip", protobuf, "gzip", valid, 400},
		{"cut short", protobuf, "", valid[:len(valid)-3], 400},
		{"gzip cut short", protobuf, "gzip", compress(valid)[:30], 400},
		{"not protobuf", protobuf, "", []byte("hello, world"), 400},
		{"not JSON", asJSON, "", []byte(`{"resourceSpans":`), 400},
		{"null for a span", asJSON, "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[null]}]}]}`), 400},
		{"an id that is not hex", asJSON, "", []byte(strings.Replace(example, "5B8E", "5B8G", 1)), 400},
		{"too large", protobuf, "", large, 413},
		{"too large when decompressed", protobuf, "gzip", compress(large), 413},
		{"too many messages", protobuf, "", many, 413},
		{"too many objects", asJSON, "", []byte(`{"resourceSpans":[` + strings.Repeat("{},", 1_000_001) + `{}]}`), 413},
		{"nested too deep", protobuf, "", marshal(t, request(nested(100))), 400},
		{"nested too deep for the decoder", protobuf, "", marshal(t, request(nested(5_000))), 400},
		{"attributes nested too deep in JSON", asJSON, "", marshalJSON(t, request(nested(40))), 400},
		{"nested too deep in JSON", asJSON, "", []byte(strings.Repeat(`{"resourceSpans":[`, 100_000)), 400},
		{"an unknown field nested too deep", asJSON, "", []byte(`{"x":` + strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000) + `}`), 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			var store otlpreceiver.Store
			w := post(&store, "/v1/traces", test.contentType, test.encoding, test.body)
			if w.Code != test.status {
				t.Errorf("status %d, want %d: %.200s", w.Code, test.status, w.Body)
			}
			if spans := store.Spans(); len(spans) > 0 {
				t.Errorf("took %d spans", len(spans))
			}
		})
	}
	for path, method := range map[string]string{"/v1/traces": http.MethodGet, "/v1/nothing": http.MethodPost, "/": http.MethodGet} {
		w := httptest.NewRecorder()
		(&otlpreceiver.Store{}).Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		if w.Code/100 != 4 {
			t.Errorf("%s %s: status %d", method, path, w.Code)
		}
	}
}

// wrap makes b a length-delimited field.
func wrap(b []byte, field byte) []byte {
	out := []byte{field<<3 | 2}
	for n := len(b); ; n >>= 7 {
		if n < 0x80 {
			out = append(out, byte(n))
			break
		}
		out = append(out, byte(n)|0x80)
	}
	return append(out, b...)
}

func TestInvalidIDsAreLeftOut(t *testing.T) {
	req := request()
	good := req.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0]
	for _, change := range []func(*tracepb.Span){
		func(s *tracepb.Span) { s.TraceId = nil },
		func(s *tracepb.Span) { s.TraceId = make([]byte, 16) },
		func(s *tracepb.Span) { s.TraceId = make([]byte, 17) },
		func(s *tracepb.Span) { s.SpanId = []byte{1} },
		func(s *tracepb.Span) { s.SpanId = make([]byte, 8) },
		func(s *tracepb.Span) { s.ParentSpanId = []byte{1} },
		func(s *tracepb.Span) { s.Links = []*tracepb.Span_Link{{TraceId: make([]byte, 1000), SpanId: s.SpanId}} },
		func(s *tracepb.Span) {
			s.Links = []*tracepb.Span_Link{{TraceId: s.TraceId, SpanId: make([]byte, 1000)}}
		},
	} {
		bad := proto.CloneOf(good)
		change(bad)
		scope := req.GetResourceSpans()[0].GetScopeSpans()[0]
		scope.Spans = append(scope.Spans, bad)
	}
	var store otlpreceiver.Store
	w := post(&store, "/v1/traces", protobuf, "", marshal(t, req))
	var reply coltrace.ExportTraceServiceResponse
	if err := proto.Unmarshal(w.Body.Bytes(), &reply); err != nil || w.Code != http.StatusOK {
		t.Fatalf("status %d, %v", w.Code, err)
	}
	if n := reply.GetPartialSuccess().GetRejectedSpans(); n != 8 || len(store.Spans()) != 1 {
		t.Errorf("rejected %d, took %d; want 8 and 1", n, len(store.Spans()))
	}
}

func TestGRPC(t *testing.T) {
	var store otlpreceiver.Store
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	server := otlpreceiver.New(&store, nil).GRPCServer()
	ended := make(chan error)
	go func() { ended <- server.Serve(listener) }()
	defer func() {
		server.Close()
		<-ended //nolint:errcheck // ErrServerClosed
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing is left to lose
	traces := coltrace.NewTraceServiceClient(conn)
	for name, opts := range map[string][]grpc.CallOption{"plain": nil, "gzip": {grpc.UseCompressor(grpcgzip.Name)}} {
		if _, err := traces.Export(t.Context(), request(), opts...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := collogs.NewLogsServiceClient(conn).Export(t.Context(), &collogs.ExportLogsServiceRequest{}); err != nil {
		t.Error(err)
	}
	if n := len(store.Spans()); n != 2 {
		t.Errorf("took %d spans, want 2", n)
	}
	large := request(&commonpb.KeyValue{Key: "k", Value: text(strings.Repeat("x", otlpreceiver.MaxBody))})
	for _, test := range []struct {
		name string
		req  *coltrace.ExportTraceServiceRequest
		opts []grpc.CallOption
		want codes.Code
	}{
		{"nested too deep", request(nested(100)), nil, codes.InvalidArgument},
		{"too large", large, nil, codes.ResourceExhausted},
		{"too large when decompressed", large, []grpc.CallOption{grpc.UseCompressor(grpcgzip.Name)}, codes.ResourceExhausted},
	} {
		if _, err := traces.Export(context.Background(), test.req, test.opts...); status.Code(err) != test.want {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	unknown := conn.Invoke(t.Context(), "/a.Service/Method", request(), request())
	if status.Code(unknown) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", unknown)
	}
	if n := len(store.Spans()); n != 2 {
		t.Errorf("took %d spans, want 2 still", n)
	}
}

// FuzzHTTP looks for panics, for statuses other than 200, 400 and 413, and for
// spans taken from a refused request.
func FuzzHTTP(f *testing.F) {
	f.Add(true, []byte(example))
	f.Add(true, []byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"00"}]}]}]}`))
	f.Add(true, []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","links":[{}],"events":[{}]}]}]}]}`))
	f.Add(false, marshal(f, request(nested(3))))
	f.Add(false, []byte{0x0b, 0x0b, 0x0c})
	f.Fuzz(func(t *testing.T, json bool, body []byte) {
		contentType := protobuf
		if json {
			contentType = asJSON
		}
		for _, path := range []string{"/v1/traces", "/v1/logs", "/v1/metrics"} {
			var store otlpreceiver.Store
			w := post(&store, path, contentType, "", body)
			switch w.Code {
			case http.StatusOK:
			case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
				if len(store.Spans())+len(store.Logs())+len(store.Metrics()) > 0 {
					t.Errorf("%s: status %d, but something was taken", path, w.Code)
				}
			default:
				t.Errorf("%s: status %d", path, w.Code)
			}
			for _, s := range store.Spans() {
				if len(s.GetTraceId()) != 16 || len(s.GetSpanId()) != 8 {
					t.Errorf("took ids %x and %x", s.GetTraceId(), s.GetSpanId())
				}
				if _, err := protojson.Marshal(s.Span); err != nil {
					t.Errorf("took what cannot be written: %v", err)
				}
			}
		}
	})
}
