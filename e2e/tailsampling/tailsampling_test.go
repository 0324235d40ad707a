package tailsampling_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/tailsamplingprocessor"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/featuregate"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor/processortest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.yaml.in/yaml/v3"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

// TestCollectorDecidesAlike puts the same traces through a tail.Processor and
// through the Collector's tail sampling processor, configured by
// tail.CollectorConfig, and compares what each keeps under each policy alone
// and under all together.
func TestCollectorDecidesAlike(t *testing.T) {
	if err := featuregate.GlobalRegistry().Set("processor.tailsamplingprocessor.usetracestate", true); err != nil {
		t.Fatal(err)
	}
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
	for i := range policies {
		t.Run(policies[i].Name, func(t *testing.T) { compare(t, policies[i:i+1]) })
	}
	t.Run("all", func(t *testing.T) {
		compare(t, slices.DeleteFunc(slices.Clone(policies), func(p tail.Policy) bool {
			// These keep about all.
			return p.Name == "ok" || p.Name == "pattern" || p.Name == "parents" || p.Name == "slow span"
		}))
	})
}

func compare(t *testing.T, policies []tail.Policy) {
	t.Helper()
	cfg := tail.Config{Policies: policies, Timeout: time.Second}
	want, recorded := record(t, cfg)
	got := collect(t, cfg, recorded)
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
// all of them as OTLP.
func record(t *testing.T, cfg tail.Config) (map[trace.TraceID]bool, ptrace.Traces) {
	t.Helper()
	var kept, all collector
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
		request(t, tracer, rnd)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := make(map[trace.TraceID]bool)
	for _, s := range kept.spans {
		ids[s.SpanContext().TraceID()] = true
	}
	return ids, otlp(t, all.spans)
}

// request makes a trace with one to five spans.
func request(t *testing.T, tracer trace.Tracer, rnd *rand.Rand) {
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

type collector struct{ spans []sdktrace.ReadOnlySpan }

func (*collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (c *collector) OnEnd(s sdktrace.ReadOnlySpan)                 { c.spans = append(c.spans, s) }
func (*collector) ForceFlush(context.Context) error                { return nil }
func (*collector) Shutdown(context.Context) error                  { return nil }

// otlp sends the spans through the SDK's exporter.
func otlp(t *testing.T, spans []sdktrace.ReadOnlySpan) ptrace.Traces {
	t.Helper()
	var body bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&body, r.Body) // seen below
	}))
	defer server.Close()
	exporter, err := otlptracehttp.New(t.Context(), otlptracehttp.WithEndpointURL(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = exporter.Shutdown(context.Background()) }()
	if err := exporter.ExportSpans(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
	td, err := new(ptrace.ProtoUnmarshaler).UnmarshalTraces(body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if td.SpanCount() != len(spans) {
		t.Fatalf("exported %d of %d spans", td.SpanCount(), len(spans))
	}
	return td
}

// collect returns the traces that the Collector's processor keeps.
func collect(t *testing.T, cfg tail.Config, td ptrace.Traces) map[trace.TraceID]bool {
	t.Helper()
	text, err := tail.CollectorConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var settings map[string]map[string]any
	if err := yaml.Unmarshal([]byte(text), &settings); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	factory := tailsamplingprocessor.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(settings["tail_sampling"]).Unmarshal(config); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	sink := new(consumertest.TracesSink)
	processor, err := factory.CreateTraces(t.Context(), processortest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if err := processor.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	if err := processor.ConsumeTraces(t.Context(), td); err != nil {
		t.Fatal(err)
	}
	// It decides on what is pending.
	if err := processor.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept := make(map[trace.TraceID]bool)
	for _, td := range sink.AllTraces() {
		for _, resource := range td.ResourceSpans().All() {
			for _, scope := range resource.ScopeSpans().All() {
				for _, s := range scope.Spans().All() {
					kept[trace.TraceID(s.TraceID())] = true
				}
			}
		}
	}
	return kept
}
