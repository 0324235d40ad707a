// Package otlpreceiver receives OTLP: OpenTelemetry Protocol Specification,
// "OTLP/HTTP" (binary and JSON payloads, gzip) and "OTLP/gRPC".
//
// What arrives is not trusted. A request that is too large, decoded or not,
// that nests too deep, or that does not parse is refused whole, and nothing of
// it reaches the [Sink]. Spans and log records whose ids cannot be right are
// left out and counted in the answer's partial success.
package otlpreceiver

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// MaxBody bounds a request in bytes, compressed or not.
const MaxBody = 20 << 20

// decoding bounds the requests that are decompressed and decoded at the same
// time, and with it the memory they take; others wait.
const decoding = 4

// Sink takes what was received. Its methods are called concurrently, and own
// what they are given.
type Sink interface {
	AddTraces(*coltrace.ExportTraceServiceRequest)
	AddLogs(*collogs.ExportLogsServiceRequest)
	AddMetrics(*colmetrics.ExportMetricsServiceRequest)
}

// Handler serves OTLP/HTTP: /v1/traces, /v1/metrics and /v1/logs. Everything
// else is answered with a 4xx status.
func Handler(sink Sink) http.Handler {
	rc := receiver{slots: make(chan struct{}, decoding)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		var req coltrace.ExportTraceServiceRequest
		if enc := rc.receive(w, r, &req); enc != nil {
			enc.answer(w, acceptTraces(sink, &req))
		}
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		var req collogs.ExportLogsServiceRequest
		if enc := rc.receive(w, r, &req); enc != nil {
			enc.answer(w, acceptLogs(sink, &req))
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		var req colmetrics.ExportMetricsServiceRequest
		if enc := rc.receive(w, r, &req); enc != nil {
			sink.AddMetrics(&req)
			enc.answer(w, &colmetrics.ExportMetricsServiceResponse{})
		}
	})
	return mux
}

type receiver struct{ slots chan struct{} }

// payload is one of the two encodings of OTLP/HTTP; a request is answered in
// its own.
type payload struct {
	mediaType string
	unmarshal func([]byte, proto.Message) error
	marshal   func(proto.Message) ([]byte, error)
}

var payloads = map[string]*payload{
	"application/x-protobuf": {"application/x-protobuf", unmarshalBinary, proto.Marshal},
	"application/json":       {"application/json", unmarshalJSON, protojson.Marshal},
}

// receive decodes the request into msg. It returns nil when it has answered
// with an error.
func (rc receiver) receive(w http.ResponseWriter, r *http.Request, msg proto.Message) *payload {
	got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	enc := payloads[got]
	if enc == nil {
		http.Error(w, "Content-Type must be application/x-protobuf or application/json", http.StatusUnsupportedMediaType)
		return nil
	}
	if err := rc.decode(w, r, enc, msg); err != nil {
		enc.refuse(w, err)
		return nil
	}
	return enc
}

func (rc receiver) decode(w http.ResponseWriter, r *http.Request, enc *payload, msg proto.Message) error {
	encoding := r.Header.Get("Content-Encoding")
	if encoding != "" && encoding != "identity" && encoding != "gzip" {
		return fmt.Errorf("Content-Encoding %q: must be gzip or identity", encoding) //nolint:staticcheck,revive // a header field's name
	}
	// Read before waiting for a slot: a slow sender must not hold one.
	body, err := readAll(http.MaxBytesReader(w, r.Body, MaxBody), r.ContentLength)
	if err != nil {
		return err
	}
	if err := rc.acquire(r.Context()); err != nil {
		return err
	}
	defer rc.release()
	if encoding == "gzip" {
		if body, err = gunzip(body); err != nil {
			return err
		}
	}
	return enc.unmarshal(body, msg)
}

func (rc receiver) acquire(ctx context.Context) error {
	select {
	case rc.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (rc receiver) release() { <-rc.slots }

// refuse answers with the Status message that the specification asks for.
func (enc *payload) refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge || errors.Is(err, errTooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	body, marshalErr := enc.marshal(&spb.Status{Code: int32(codes.InvalidArgument), Message: strings.ToValidUTF8(err.Error(), "\uFFFD")})
	if marshalErr != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", enc.mediaType)
	w.WriteHeader(status)
	w.Write(body)
}

func (enc *payload) answer(w http.ResponseWriter, reply proto.Message) {
	body, err := enc.marshal(reply)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", enc.mediaType)
	w.Write(body)
}

func gunzip(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	plain, err := readAll(io.LimitReader(z, MaxBody+1), 4*int64(len(body)))
	if err == nil && len(plain) > MaxBody {
		return nil, fmt.Errorf("%w: more than %d bytes when decompressed", errTooLarge, MaxBody)
	}
	return plain, err
}
