// Package otlpreceiver receives OTLP over HTTP: OpenTelemetry Protocol
// Specification, "OTLP/HTTP", with binary payloads.
package otlpreceiver

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"net/http"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	coltrace "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// maxBody bounds a request, compressed or not.
const maxBody = 64 << 20

// Handler serves /v1/traces, /v1/metrics and /v1/logs and hands what comes to
// s. Everything else is answered with a 4xx status.
func (s *Store) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", func(w http.ResponseWriter, r *http.Request) {
		var req coltrace.ExportTraceServiceRequest
		if receive(w, r, &req, &coltrace.ExportTraceServiceResponse{}) {
			s.addTraces(&req)
		}
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		var req collogs.ExportLogsServiceRequest
		if receive(w, r, &req, &collogs.ExportLogsServiceResponse{}) {
			s.addLogs(&req)
		}
	})
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		var req colmetrics.ExportMetricsServiceRequest
		if receive(w, r, &req, &colmetrics.ExportMetricsServiceResponse{}) {
			s.addMetrics(&req)
		}
	})
	return mux
}

const mediaType = "application/x-protobuf"

// receive decodes the request into msg and sends reply. It reports false when
// it has answered with an error.
func receive(w http.ResponseWriter, r *http.Request, msg, reply proto.Message) bool {
	if got, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); got != mediaType {
		http.Error(w, "Content-Type must be "+mediaType, http.StatusUnsupportedMediaType)
		return false
	}
	body, err := readBody(w, r)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return false
	}
	if err == nil {
		err = proto.Unmarshal(body, msg)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	answer, err := proto.Marshal(reply)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return false
	}
	w.Header().Set("Content-Type", mediaType)
	w.Write(answer)
	return true
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := http.MaxBytesReader(w, r.Body, maxBody)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return io.ReadAll(body)
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(http.MaxBytesReader(w, z, maxBody))
	default:
		return nil, errors.New("Content-Encoding must be gzip or identity, not " + encoding) //nolint:staticcheck // a header field's name
	}
}
