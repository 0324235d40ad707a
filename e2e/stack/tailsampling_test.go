package stack_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// TestCollectorDecidesAlike puts the same traces through a tail.Processor and
// through a Collector, whose tail sampling is configured by
// tail.CollectorConfig, and compares what each keeps under each policy alone and
// under all together.
func TestCollectorDecidesAlike(t *testing.T) {
	t.Parallel()
	attributes := func(key attribute.Key, pattern string) sampler.Match {
		return sampler.Match{Attributes: map[attribute.Key]string{key: pattern}}
	}
	policies := []tail.Policy{
		{Name: "error", Span: tail.Condition{Error: true}},
		{Name: "error of root", Root: tail.Condition{Error: true}},
		{Name: "ok", Span: tail.Condition{Status: codes.Ok}},
		{Name: "slow root", Root: tail.Condition{SlowerThan: 900 * time.Millisecond}},
		{Name: "slow span", Span: tail.Condition{SlowerThan: 950 * time.Millisecond}},
		{Name: "name", Root: tail.Condition{Match: sampler.Match{Name: "GET /a"}}},
		{Name: "pattern", Span: tail.Condition{Match: sampler.Match{Name: "query ?", Kind: trace.SpanKindClient}}},
		{Name: "integer", Span: tail.Condition{Match: attributes("http.response.status_code", "5*")}},
		{Name: "string", Span: tail.Condition{Match: attributes("user", `a.b\*"c"`)}},
		{Name: "boolean", Span: tail.Condition{Match: attributes("retry", "true")}},
		{Name: "parents", Span: tail.Condition{Match: sampler.Match{Parent: sampler.NoParent}}},
		{Name: "local and slow", Span: tail.Condition{Match: sampler.Match{Parent: sampler.LocalParent}, SlowerThan: 990 * time.Millisecond}},
		{Name: "remote", Root: tail.Condition{Match: sampler.Match{Parent: sampler.RemoteParent}}, Probability: 0.3},
		{Name: "two", Root: tail.Condition{SlowerThan: 500 * time.Millisecond}, Span: tail.Condition{Match: attributes("retry", "true")}},
		{Name: "same span", Span: tail.Condition{Match: attributes("retry", "true"), Error: true}},
		{Name: "probability", Probability: 0.1},
	}
	var cases []tail.Config
	for i := range policies {
		cases = append(cases, tail.Config{Policies: policies[i : i+1], Timeout: time.Second})
	}
	var most []tail.Policy
	for _, p := range policies {
		switch p.Name {
		case "ok", "pattern", "parents", "slow span": // these keep about all
		default:
			most = append(most, p)
		}
	}
	cases = append(cases, tail.Config{Policies: most, Timeout: time.Second})

	var all []sdktrace.ReadOnlySpan
	want := make([]map[trace.TraceID]bool, len(cases))
	for i, cfg := range cases {
		want[i], all = record(t, cfg) // the same traces each time
	}
	for i, got := range collect(t, cases, all) {
		name := "all"
		if i < len(policies) {
			name = policies[i].Name
		}
		t.Run(name, func(t *testing.T) { compare(t, want[i], got) })
	}
}

func compare(t *testing.T, want, got map[trace.TraceID]bool) {
	t.Helper()
	if len(want) < 10 || len(want) > traces-10 {
		t.Errorf("the policies keep %d of %d traces: nothing to compare", len(want), traces)
	}
	t.Logf("kept by the processor: %d, by the Collector: %d of %d traces", len(want), len(got), traces)
	var extra, missing int
	for id := range want {
		if !got[id] {
			missing++
		}
	}
	for id := range got {
		if !want[id] {
			extra++
		}
	}
	if extra+missing > 0 {
		t.Errorf("the Collector drops %d that the processor keeps, and keeps %d that it drops", missing, extra)
	}
}

const traces = 1000

// record makes random traces and returns those that the processor keeps, and
// the spans of all.
func record(t *testing.T, cfg tail.Config) (map[trace.TraceID]bool, []sdktrace.ReadOnlySpan) {
	t.Helper()
	var kept, all spanList
	processor, err := tail.NewProcessor(&kept, cfg)
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(tail.Record(sdktrace.NeverSample())),
		sdktrace.WithSpanProcessor(processor), sdktrace.WithSpanProcessor(&all))
	tracer := provider.Tracer("test")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range traces {
		makeTrace(t, tracer, rnd)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := make(map[trace.TraceID]bool)
	for _, s := range kept.spans {
		ids[s.SpanContext().TraceID()] = true
	}
	return ids, all.spans
}

// makeTrace makes a trace with one to five spans.
func makeTrace(t *testing.T, tracer trace.Tracer, rnd *rand.Rand) {
	t.Helper()
	state, err := trace.ParseTraceState(fmt.Sprintf("ot=rv:%014x", rnd.Uint64()>>8))
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.SpanContextConfig{SpanID: trace.SpanID{1}, TraceFlags: 2, TraceState: state, Remote: true}
	for i := range parent.TraceID {
		parent.TraceID[i] = byte(rnd.Uint32())
	}
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(parent))
	if rnd.IntN(2) == 0 {
		// No parent, but the tracestate.
		parent.SpanID = trace.SpanID{}
		ctx = trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(parent))
	}
	now := time.Now()
	end := func(s trace.Span) {
		switch rnd.IntN(20) {
		case 0:
			s.SetStatus(codes.Error, "x")
		case 1:
			s.AddEvent("exception")
		case 2:
			s.AddEvent("not an exception")
		case 3:
			s.SetStatus(codes.Ok, "")
		}
		s.End(trace.WithTimestamp(now.Add(time.Duration(rnd.Int64N(int64(time.Second))))))
	}
	ctx, root := tracer.Start(ctx, []string{"GET /a", "GET /ab", "GET /"}[rnd.IntN(3)],
		trace.WithTimestamp(now), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.Int("http.response.status_code", 200+100*rnd.IntN(4)),
			attribute.String("user", []string{`a.b*"c"`, `a.b"c"`, `axb*"c"`}[rnd.IntN(3)])))
	for range rnd.IntN(5) {
		_, child := tracer.Start(ctx, []string{"query 1", "query 12", "call"}[rnd.IntN(3)],
			trace.WithTimestamp(now), trace.WithSpanKind(trace.SpanKind(1+rnd.IntN(5))),
			trace.WithAttributes(attribute.Bool("retry", rnd.IntN(8) == 0)))
		end(child)
	}
	end(root)
}

type spanList struct{ spans []sdktrace.ReadOnlySpan }

func (*spanList) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (l *spanList) OnEnd(s sdktrace.ReadOnlySpan)                 { l.spans = append(l.spans, s) }
func (*spanList) ForceFlush(context.Context) error                { return nil }
func (*spanList) Shutdown(context.Context) error                  { return nil }

// collect sends the spans to a Collector that has a pipeline for each case, and
// returns the traces that each keeps.
func collect(t *testing.T, cases []tail.Config, spans []sdktrace.ReadOnlySpan) []map[trace.TraceID]bool {
	t.Helper()
	var mu sync.Mutex
	kept := make([]map[trace.TraceID]bool, len(cases))
	for i := range kept {
		kept[i] = map[trace.TraceID]bool{}
	}
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req coltracepb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &req)
		}
		i, pathErr := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil || pathErr != nil {
			t.Errorf("%s: %v", r.URL, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		for _, resource := range req.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					kept[i][trace.TraceID(s.TraceId)] = true
				}
			}
		}
	}))
	defer sink.Close()

	addrs := process.FreeAddrs(t, 2)
	file := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(file, pipelines(t, cases, addrs[0], addrs[1], sink.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	running := process.Start(t, built(t, collectorBinary), []string{
		"--config=" + file, "--feature-gates=processor.tailsamplingprocessor.usetracestate",
	}, nil)
	awaitReady(t, "http://"+addrs[1]+"/")
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL("http://"+addrs[0]+"/v1/traces"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	if err := exporter.ExportSpans(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
	// At its end it decides on what is pending.
	running.Signal(t, syscall.SIGTERM)
	if code := running.Wait(t, time.Minute); code != 0 {
		t.Errorf("the Collector ended with %d:\n%s", code, running.Stderr())
	}
	mu.Lock()
	defer mu.Unlock()
	return kept
}

// pipelines is the configuration of a Collector that receives at an address and
// hands every trace to each of the cases, whose exporters send to sink/0, sink/1
// and so on.
func pipelines(t *testing.T, cases []tail.Config, receiver, health, sink string) []byte {
	t.Helper()
	type object = map[string]any
	processors, exporters, traces := object{}, object{}, object{}
	for i, cfg := range cases {
		text, err := tail.CollectorConfig(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var settings object
		if err := yaml.Unmarshal([]byte(text), &settings); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		id := "/" + strconv.Itoa(i)
		processors["tail_sampling"+id] = settings["tail_sampling"]
		exporters["otlp_http"+id] = object{
			"traces_endpoint": sink + id, "compression": "none",
			"sending_queue": object{"enabled": false}, // kept traces come one at a time, and all at once
		}
		traces["traces"+id] = object{
			"receivers": []string{"otlp"}, "processors": []string{"tail_sampling" + id}, "exporters": []string{"otlp_http" + id},
		}
	}
	text, err := yaml.Marshal(object{
		"receivers":  object{"otlp": object{"protocols": object{"http": object{"endpoint": receiver}}}},
		"processors": processors, "exporters": exporters,
		"extensions": object{"health_check": object{"endpoint": health}},
		"service": object{
			"extensions": []string{"health_check"}, "pipelines": traces,
			"telemetry": object{"metrics": object{"level": "none"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
