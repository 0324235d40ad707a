package export

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlpjson"
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
	case settings.SignalTraces:
		return &coltrace.ExportTraceServiceRequest{}
	case settings.SignalMetrics:
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
	body, err := otlpjson.Marshal(m)
	if err != nil || !t.gzip {
		return body, err
	}
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	_, err = w.Write(body)
	err = errors.Join(err, w.Close())
	return compressed.Bytes(), err
}
