// Package jaeger runs Jaeger's all-in-one program, a trace store that takes OTLP
// and answers queries, for the length of a test.
package jaeger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/clewtrace/clew/e2e/internal/gobuild"
	"github.com/clewtrace/clew/e2e/internal/process"
)

var binary = sync.OnceValues(gobuild.Module{
	Name:    "jaeger",
	Path:    "github.com/jaegertracing/jaeger",
	Version: "v1.76.0",
	Sum:     "h1:sWCOOF1dr+NL0PLil7mFo3BqqQL8k4WiM7aguFbc14g=",
	Program: "./cmd/all-in-one",
}.Build)

// Config says how to run Jaeger. The zero value stores traces and has no
// opinion on sampling.
type Config struct {
	// SamplingStrategies is the path of a file with remote sampling strategies,
	// in the JSON format of Jaeger's option --sampling.strategies-file.
	SamplingStrategies string
}

// Server is a running Jaeger, empty at first.
type Server struct {
	OTLP     string // base URL for OTLP/HTTP: a value for OTEL_EXPORTER_OTLP_ENDPOINT
	Query    string // base URL of the query API
	Sampling string // URL that serves remote sampling strategies, less its ?service=
}

// Start builds Jaeger if need be, runs it on free loopback ports and returns
// when it is ready. It ends with the test.
func Start(t *testing.T, cfg Config) *Server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build Jaeger: %v", err)
	}
	// Somebody may take a port between its choice and its use.
	for range 3 {
		if s, ok := start(t, path, cfg); ok {
			return s
		}
	}
	t.Fatal("Jaeger ended before it was ready, three times")
	return nil
}

func start(t *testing.T, path string, cfg Config) (_ *Server, ok bool) {
	t.Helper()
	listeners := []string{
		"admin.http.host-port",
		"collector.otlp.http.host-port",
		"query.http-server.host-port",
		"collector.http-server.host-port",
		"collector.otlp.grpc.host-port",
		"collector.grpc-server.host-port",
		"query.grpc-server.host-port",
	}
	addrs := process.FreeAddrs(t, len(listeners))
	args := []string{"--log-level=warn"}
	for i, name := range listeners {
		args = append(args, "--"+name+"="+addrs[i])
	}
	if cfg.SamplingStrategies != "" {
		args = append(args, "--sampling.strategies-file="+cfg.SamplingStrategies)
	}
	// Jaeger traces its own API, too, to wherever this machine has a collector.
	p := process.Start(t, path, args, []string{"OTEL_TRACES_SAMPLER=always_off"})
	process.Eventually(t, time.Minute, func() error {
		select {
		case <-p.Exited():
			return nil
		default:
			_, err := get(t.Context(), "http://"+addrs[0]+"/")
			ok = err == nil
			return err
		}
	})
	return &Server{
		OTLP:     "http://" + addrs[1],
		Query:    "http://" + addrs[2],
		Sampling: "http://" + addrs[3] + "/api/sampling",
	}, ok
}

// WaitTrace returns the one trace that the service takes part in, once it has
// at least the given number of spans. Jaeger stores what it accepted a moment later.
func (s *Server) WaitTrace(t *testing.T, service string, spans int) ptrace.Traces {
	t.Helper()
	var trace ptrace.Traces
	process.Eventually(t, 30*time.Second, func() error {
		ids, err := s.traceIDs(t.Context(), service)
		if err != nil {
			return err
		}
		if len(ids) != 1 {
			return fmt.Errorf("service %q takes part in %d traces, want 1", service, len(ids))
		}
		trace, err = s.trace(t.Context(), ids[0])
		if err == nil && trace.SpanCount() < spans {
			err = fmt.Errorf("trace %s has %d spans, want %d", ids[0], trace.SpanCount(), spans)
		}
		return err
	})
	return trace
}

func (s *Server) traceIDs(ctx context.Context, service string) ([]string, error) {
	body, err := get(ctx, s.Query+"/api/traces?limit=100&service="+url.QueryEscape(service))
	if err != nil {
		return nil, err
	}
	var found struct {
		Data []struct{ TraceID string }
	}
	if err := json.Unmarshal(body, &found); err != nil {
		return nil, err
	}
	ids := make([]string, len(found.Data))
	for i, trace := range found.Data {
		ids[i] = trace.TraceID
	}
	return ids, nil
}

// trace reads a trace over version 3 of the API, which answers in OTLP's own terms.
func (s *Server) trace(ctx context.Context, id string) (ptrace.Traces, error) {
	body, err := get(ctx, s.Query+"/api/v3/traces/"+id)
	if err != nil {
		return ptrace.Traces{}, err
	}
	var answer struct{ Result json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		return ptrace.Traces{}, err
	}
	return new(ptrace.JSONUnmarshaler).UnmarshalTraces(answer.Result)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", url, res.Status, body)
	}
	return body, err
}
