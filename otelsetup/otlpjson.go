package otelsetup

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// jsonEncoder turns the requests of the OTLP exporters from protobuf into
// JSON, and the answers back: of the three exporters only the one for traces
// can encode JSON.
type jsonEncoder struct {
	next   http.RoundTripper
	signal string
	gzip   bool
}

const (
	contentType  = "Content-Type"
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

func (t jsonEncoder) RoundTrip(r *http.Request) (*http.Response, error) {
	request, response := messages(t.signal)
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err == nil {
		err = proto.Unmarshal(body, request)
	}
	if err != nil {
		return nil, fmt.Errorf("OTLP as JSON: %w", err)
	}
	if body, err = t.encode(request); err != nil {
		return nil, fmt.Errorf("OTLP as JSON: %w", err)
	}
	out := r.Clone(r.Context())
	out.Header.Set(contentType, typeJSON)
	if t.gzip {
		out.Header.Set("Content-Encoding", "gzip")
	}
	out.ContentLength = int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody() //nolint:errcheck // never an error
	resp, err := t.next.RoundTrip(out)
	if err != nil || resp.StatusCode/100 != 2 {
		return resp, err
	}
	return decodeResponse(resp, response)
}

// messages returns an empty request of a signal, and the answer to it.
func messages(signal string) (request, response proto.Message) {
	switch signal {
	case signalTraces:
		return &coltrace.ExportTraceServiceRequest{}, &coltrace.ExportTraceServiceResponse{}
	case signalMetrics:
		return &colmetrics.ExportMetricsServiceRequest{}, &colmetrics.ExportMetricsServiceResponse{}
	default:
		return &collogs.ExportLogsServiceRequest{}, &collogs.ExportLogsServiceResponse{}
	}
}

func (t jsonEncoder) encode(m proto.Message) ([]byte, error) {
	hexIDs(m.ProtoReflect())
	body, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(m)
	if err != nil || !t.gzip {
		return body, err
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err = w.Write(body)
	err = errors.Join(err, w.Close())
	return compressed.Bytes(), err
}

// hexIDs makes the ids in m come out as hexadecimal text, as OpenTelemetry
// Protocol Specification, section "JSON Protobuf Encoding", asks. Protobuf's
// JSON encodes bytes as base64, so each id is replaced by the bytes whose
// base64 is the id's hexadecimal text: 16 and 32 digits are both valid base64.
func hexIDs(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Kind() == protoreflect.BytesKind && isID[field.Name()]:
			if decoded, err := base64.StdEncoding.DecodeString(hex.EncodeToString(v.Bytes())); err == nil {
				m.Set(field, protoreflect.ValueOfBytes(decoded))
			}
		case field.Kind() != protoreflect.MessageKind:
		case field.IsList():
			for i := range v.List().Len() {
				hexIDs(v.List().Get(i).Message())
			}
		default:
			hexIDs(v.Message())
		}
		return true
	})
}

var isID = map[protoreflect.Name]bool{"trace_id": true, "span_id": true, "parent_span_id": true}

// maxResponse bounds what is read of an answer.
const maxResponse = 4 << 20

// decodeResponse gives the exporter the answer that it can read.
func decodeResponse(resp *http.Response, m proto.Message) (*http.Response, error) {
	if mediaType, _, err := mime.ParseMediaType(resp.Header.Get(contentType)); err != nil || mediaType != typeJSON {
		return resp, nil //nolint:nilerr // an answer in another format is none of ours
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err == nil && len(body) > 0 {
		err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(body, m)
	}
	if err == nil {
		body, err = proto.Marshal(m)
	}
	if err != nil {
		return nil, fmt.Errorf("OTLP answer as JSON: %w", err)
	}
	resp.Header.Set(contentType, typeProtobuf)
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}
