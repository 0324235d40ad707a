package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/clewtrace/clew/clewhttp"
	"github.com/clewtrace/clew/internal/health"
	"github.com/clewtrace/clew/otelsetup"
)

// untraced are the paths that customers do not use.
var untraced = map[string]bool{health.Path: true, faultPath: true, ratePath: true}

// serve answers requests until ctx ends, and then those that have begun.
func serve(ctx context.Context, addr string, mux *http.ServeMux) error {
	mux.HandleFunc(health.Path, func(http.ResponseWriter, *http.Request) {})
	traced := func(r *http.Request) bool { return !untraced[r.URL.Path] }
	return otelsetup.Serve(ctx, &http.Server{
		Addr:              addr,
		Handler:           clewhttp.Handler(mux, clewhttp.WithFilter(traced)),
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(l net.Listener) context.Context {
			slog.Info("Listening on http://" + l.Addr().String() + "/")
			return context.Background()
		},
	})
}

// client gives up before a customer does.
var client = &http.Client{Timeout: 3 * time.Second} // traced since Start, as http.DefaultClient

// statusError is an answer that says no.
type statusError struct {
	Method, URL string
	Code        int
	Message     string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s %s answered %d: %s", e.Method, e.URL, e.Code, e.Message)
}

// call sends in as JSON, unless it is nil, and reads the answer into out, unless
// that is nil. A status of 400 or more is a *statusError.
func call(ctx context.Context, method, url string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return &statusError{method, url, resp.StatusCode, string(bytes.TrimSpace(answer))}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// maxBody is far more than a request or an answer has.
const maxBody = 64 << 10

// receive reads the request's JSON. If that cannot be done it answers, and
// returns false.
func receive(w http.ResponseWriter, r *http.Request, in any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(in)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func reply(w http.ResponseWriter, status int, out any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out) // the customer has left
}
