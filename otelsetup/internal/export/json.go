package export

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/clewtrace/clew/internal/settings"
)

// jsonEncoder turns the requests of the OTLP exporters from protobuf into
// JSON: of the three exporters only the one for traces can encode JSON.
type jsonEncoder struct {
	next   http.RoundTripper
	signal string
	gzip   bool
}

const (
	contentType = "Content-Type"
	typeJSON    = "application/json"
)

// RoundTrip implements [http.RoundTripper]. What cannot be encoded gets the
// answer that a collector would give: to try again would not help.
func (t jsonEncoder) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil {
		return nil, err
	}
	if body, err = t.encode(body); err != nil {
		return badRequest(r, fmt.Sprintf("OTLP as JSON: %v", err)), nil
	}
	out := r.Clone(r.Context())
	out.Header.Set(contentType, typeJSON)
	out.Header.Del("Content-Encoding")
	if t.gzip {
		out.Header.Set("Content-Encoding", "gzip")
	}
	out.ContentLength = int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	out.Body, _ = out.GetBody() //nolint:errcheck // never an error
	return t.next.RoundTrip(out)
}

func badRequest(r *http.Request, text string) *http.Response {
	return &http.Response{
		Status: "400 Bad Request", StatusCode: http.StatusBadRequest, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)),
	}
}

// message returns an empty request of a signal.
func message(signal string) proto.Message {
	switch signal {
	case settings.Traces:
		return &coltrace.ExportTraceServiceRequest{}
	case settings.Metric:
		return &colmetrics.ExportMetricsServiceRequest{}
	default:
		return &collogs.ExportLogsServiceRequest{}
	}
}

func (t jsonEncoder) encode(binary []byte) ([]byte, error) {
	m := message(t.signal)
	if err := proto.Unmarshal(binary, m); err != nil {
		return nil, err
	}
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
