package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/examples/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

func TestSchedule(t *testing.T) {
	program := exampletest.Path(t)
	t.Run("one trace per run", func(t *testing.T) { testRuns(t, program) })
	t.Run("interrupted", func(t *testing.T) { testInterrupted(t, program) })
}

// testRuns lets the second of three runs fail.
func testRuns(t *testing.T, program string) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 2 {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer server.Close()
	c := exampletest.NewCollector(t)
	c.Start(t, program, "prices", "-every", "10ms", "-runs", "3", "-url", server.URL).Wait(t, 0)

	c.Expect(t, `
		prices load-prices INTERNAL
			prices GET CLIENT
		prices load-prices INTERNAL
			prices GET CLIENT
		prices load-prices INTERNAL ERROR
			prices GET CLIENT ERROR
	`)
	traces := make(map[string]bool)
	for _, run := range c.FindAll("prices", "load-prices") {
		traces[string(run.GetTraceId())] = true
		if len(run.GetParentSpanId()) != 0 || run.GetFlags()&0x03 != 0x03 {
			t.Errorf("a run has parent %x and flags %#x, want none and sampled, random", run.GetParentSpanId(), run.GetFlags())
		}
	}
	if len(traces) != 3 {
		t.Errorf("%d traces, want 3", len(traces))
	}
}

// TestStartedInSpan has a request start the schedule, so to speak.
func TestStartedInSpan(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	defer func(before trace.Tracer) { tracer = before }(tracer)
	tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	ctx, request := tracer.Start(t.Context(), "request")
	defer request.End()
	if err := schedule(ctx, time.Millisecond, 2, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	runs := spans.Ended()
	if len(runs) != 2 || runs[0].Parent().IsValid() || runs[1].Parent().IsValid() ||
		runs[0].SpanContext().TraceID() == runs[1].SpanContext().TraceID() {
		t.Errorf("the runs are %v, want two traces", runs)
	}
}

func testInterrupted(t *testing.T, program string) {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := exampletest.NewCollector(t)
	prices := c.Start(t, program, "prices", "-every", "1h", "-url", server.URL)
	prices.AwaitLog(t, "run failed")
	prices.Stop(t)
	c.Expect(t, `
		prices load-prices INTERNAL ERROR
			prices GET CLIENT ERROR
	`)
}
