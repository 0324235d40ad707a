package tail_test

import (
	"context"
	"encoding/binary"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/sampler/tail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	failedPolicy = tail.Policy{Span: tail.Condition{Error: true}}
	dropAll      = tail.Record(sdktrace.NeverSample())
)

// A service is a traced process whose kept spans are recorded.
type service struct {
	trace.Tracer
	*tail.Processor
	kept *tracetest.SpanRecorder
}

// start returns a service whose head sampler is head; it shuts down with tb.
func start(tb testing.TB, head sdktrace.Sampler, cfg tail.Config) service {
	tb.Helper()
	kept := tracetest.NewSpanRecorder()
	p, err := tail.NewProcessor(kept, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(head), sdktrace.WithSpanProcessor(p))
	tb.Cleanup(func() {
		if err := provider.Shutdown(context.Background()); err != nil {
			tb.Error(err)
		}
	})
	return service{provider.Tracer("test"), p, kept}
}

// names returns the names of the kept spans in the order they were handed on.
func (s service) names() []string {
	var names []string
	for _, span := range s.kept.Ended() {
		names = append(names, span.Name())
	}
	return names
}

func (s service) wantKept(t *testing.T, names ...string) {
	t.Helper()
	if got := s.names(); !slices.Equal(got, names) {
		t.Errorf("kept %q, want %q", got, names)
	}
}

// traceID returns a trace id whose low 56 bits are r.
func traceID(r uint64) (id trace.TraceID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], r)
	return id
}

// from returns a context as extracted from a request of another process.
func from(tb testing.TB, id trace.TraceID, flags trace.TraceFlags, tracestate string) context.Context {
	tb.Helper()
	state, err := trace.ParseTraceState(tracestate)
	if err != nil {
		tb.Fatal(err)
	}
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: flags, TraceState: state,
	}))
}

// lasting makes a span that ends now seem to have taken d.
func lasting(d time.Duration) trace.SpanStartOption { return trace.WithTimestamp(time.Now().Add(-d)) }

func attr(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, kv := range s.Attributes() {
		if kv.Key == key {
			return kv.Value.String()
		}
	}
	return ""
}

// handledErrors collects what reaches the OpenTelemetry error handler until
// the test ends.
func handledErrors(t *testing.T) *[]error {
	t.Helper()
	var errs []error
	var mu sync.Mutex
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}))
	t.Cleanup(func() { otel.SetErrorHandler(previous) })
	return &errs
}

// envInt reads the size of a test that is small by default.
func envInt(t *testing.T, name string, value int) int {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		var err error
		if value, err = strconv.Atoi(s); err != nil {
			t.Fatalf("%s=%q: want a number", name, s)
		}
	}
	return value
}
