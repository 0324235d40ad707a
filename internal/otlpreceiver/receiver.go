// Package otlpreceiver receives OTLP: OpenTelemetry Protocol Specification,
// "OTLP/HTTP" (binary and JSON payloads, gzip) and "OTLP/gRPC".
//
// Nothing that arrives is trusted. A request is refused as a whole if it is too large,
// decoded or not, if it nests too deep, or if it does not parse. Nothing of it reaches
// the [Sink]. Spans and log records with invalid ids are left out and counted in the
// partial success of the answer. All requests that are handled at the same time share
// one [Budget] of memory.
package otlpreceiver

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/internal/otlp"
	"github.com/clewtrace/clew/internal/otlpjson"
)

// MaxBody bounds a request in bytes, compressed or not.
const MaxBody = 20 << 20

// Sink takes what was received. Its methods are called concurrently and may keep and
// change their arguments. TracesData and the like have the fields of the requests
// ExportTraceServiceRequest and so on (opentelemetry/proto/collector), whose Go packages
// import gRPC and its gateway.
type Sink interface {
	AddTraces(*tracepb.TracesData)
	AddLogs(*logspb.LogsData)
	AddMetrics(*metricspb.MetricsData)
}

// Receiver hands what it receives to a sink.
type Receiver struct {
	sink   Sink
	budget *Budget
}

// New returns a receiver whose requests share a budget. Nil means a new budget of
// [DefaultBudget].
func New(sink Sink, budget *Budget) *Receiver {
	if budget == nil {
		budget = NewBudget(DefaultBudget)
	}
	return &Receiver{sink, budget}
}

// Handler is the OTLP/HTTP handler of a receiver with a budget of its own.
func Handler(sink Sink) http.Handler { return New(sink, nil).HTTP() }

// HTTP serves OTLP/HTTP: /v1/traces, /v1/metrics and /v1/logs. Everything else
// is answered with a 4xx status.
func (rc *Receiver) HTTP() http.Handler {
	mux := http.NewServeMux()
	for path, service := range services {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { rc.serveHTTP(w, r, service) })
	}
	return mux
}

// service is what differs between the signals.
type service struct {
	grpcPath string
	request  func() proto.Message
	accept   func(Sink, proto.Message) otlp.Answer
	rejected string // name of the number of what was left out, in JSON
}

var services = map[string]service{
	"/v1/traces": {
		grpcPath: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
		request:  func() proto.Message { return &tracepb.TracesData{} },
		accept:   func(s Sink, m proto.Message) otlp.Answer { return acceptTraces(s, m.(*tracepb.TracesData)) },
		rejected: "rejectedSpans",
	},
	"/v1/logs": {
		grpcPath: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
		request:  func() proto.Message { return &logspb.LogsData{} },
		accept:   func(s Sink, m proto.Message) otlp.Answer { return acceptLogs(s, m.(*logspb.LogsData)) },
		rejected: "rejectedLogRecords",
	},
	"/v1/metrics": {
		grpcPath: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
		request:  func() proto.Message { return &metricspb.MetricsData{} },
		accept: func(s Sink, m proto.Message) otlp.Answer {
			s.AddMetrics(m.(*metricspb.MetricsData))
			return otlp.Answer{}
		},
		rejected: "rejectedDataPoints",
	},
}

// payload is one of the two encodings of OTLP/HTTP. The answer has the same encoding as
// the request.
type payload struct {
	mediaType string
	cost      func([]byte, proto.Message) (int64, error) // memory that unmarshal takes, in bytes
	unmarshal func([]byte, proto.Message) error
	status    func(proto.Message) ([]byte, error)
	answer    func(a otlp.Answer, rejected string) ([]byte, error)
}

var (
	protobuf = &payload{"application/x-protobuf", costOfBinary, unmarshalBinary, proto.Marshal,
		func(a otlp.Answer, _ string) ([]byte, error) { return a.Append(nil), nil }}
	payloads = map[string]*payload{
		protobuf.mediaType: protobuf,
		"application/json": {"application/json", costOfJSON, otlpjson.Unmarshal, protojson.Marshal, otlp.Answer.JSON},
	}
)

func (rc *Receiver) serveHTTP(w http.ResponseWriter, r *http.Request, s service) {
	got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	enc := payloads[got]
	if enc == nil {
		http.Error(w, "Content-Type must be application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
		return
	}
	encoding := r.Header.Get("Content-Encoding")
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		enc.refuse(w, fmt.Errorf("Content-Encoding %q: must be gzip or identity", encoding)) //nolint:staticcheck,revive // a header field's name
		return
	}
	if r.ContentLength > MaxBody {
		enc.refuse(w, fmt.Errorf("%w: more than %d bytes", errTooLarge, MaxBody))
		return
	}
	body := http.MaxBytesReader(w, r.Body, MaxBody)
	answer, err := rc.take(r.Context(), s, enc, body, r.ContentLength, encoding == "gzip")
	if err != nil {
		enc.refuse(w, err)
		return
	}
	reply, err := enc.answer(answer, s.rejected)
	enc.write(w, http.StatusOK, reply, err)
}

// unpacking is the memory of a gzip reader.
const unpacking = 64 << 10

// take reads a request, decodes it and hands it to the sink. All memory for that is
// held from the budget until it returns. The sink counts the memory of what it keeps.
func (rc *Receiver) take(ctx context.Context, s service, enc *payload, body io.Reader, length int64, packed bool) (answer otlp.Answer, err error) {
	hold := rc.budget.Hold()
	defer hold.Release()
	if packed {
		if err := hold.Add(ctx, unpacking); err != nil {
			return answer, err
		}
		z, err := gzip.NewReader(body)
		if err != nil {
			return answer, err
		}
		body, length = z, 0
	}
	b, err := hold.readAll(ctx, body, length)
	if err != nil {
		return answer, err
	}
	req := s.request()
	cost, err := enc.cost(b, req)
	if err != nil {
		return answer, err
	}
	if err := hold.Add(ctx, cost); err != nil {
		return answer, err
	}
	if err := enc.unmarshal(b, req); err != nil {
		return answer, err
	}
	return s.accept(rc.sink, req), nil
}

// maxMessage bounds the error message for a request that is refused, because the
// decoders quote the request.
const maxMessage = 1 << 10

func message(err error) string {
	text := err.Error()
	if len(text) > maxMessage {
		text = text[:maxMessage] + "..."
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// refuse answers with a Status message (OpenTelemetry Protocol Specification,
// "Failures").
func (enc *payload) refuse(w http.ResponseWriter, err error) {
	status, code := http.StatusBadRequest, codes.InvalidArgument
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge || errors.Is(err, errTooLarge):
		status = http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrBusy):
		status, code = http.StatusServiceUnavailable, codes.Unavailable
		w.Header().Set("Retry-After", "1")
	}
	body, err := enc.status(&spb.Status{Code: int32(code), Message: message(err)})
	enc.write(w, status, body, err)
}

func (enc *payload) write(w http.ResponseWriter, status int, body []byte, err error) {
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", enc.mediaType)
	w.WriteHeader(status)
	w.Write(body)
}
