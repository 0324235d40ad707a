package propagator_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// update changes the tracestate of the span context in ctx, as user code does.
func update(ctx context.Context, change func(trace.TraceState) trace.TraceState) context.Context {
	sc := trace.SpanContextFromContext(ctx)
	return trace.ContextWithSpanContext(ctx, sc.WithTraceState(change(sc.TraceState())))
}

func insert(key, value string) func(trace.TraceState) trace.TraceState {
	return func(ts trace.TraceState) trace.TraceState {
		ts, err := ts.Insert(key, value)
		if err != nil {
			panic(err)
		}
		return ts
	}
}

func remove(key string) func(trace.TraceState) trace.TraceState {
	return func(ts trace.TraceState) trace.TraceState { return ts.Delete(key) }
}

func TestMergeRules(t *testing.T) {
	full := func(from, to int) string {
		var s []string
		for i := from; i <= to; i++ {
			s = append(s, fmt.Sprintf("%dk=%d", i, i))
		}
		return strings.Join(s, ",")
	}
	type change = func(trace.TraceState) trace.TraceState
	for _, tt := range []struct {
		rule, received string
		changes        []change
		want           string
	}{
		{"unchanged", "1a=x,foo=1,b@c@d=y,bar=2", nil, "1a=x,foo=1,b@c@d=y,bar=2"},
		{"only members that cannot be held", "1a=x,2b=y", nil, "1a=x,2b=y"},
		{"a new member goes first", "1a=x,foo=1", []change{insert("new", "2")}, "new=2,1a=x,foo=1"},
		{"a new member before nothing that can be held", "1a=x", []change{insert("new", "2")}, "new=2,1a=x"},
		{"an updated member moves to the front", "1a=x,foo=1,bar=2", []change{insert("bar", "3")}, "bar=3,1a=x,foo=1"},
		{"two updates, the later one first", "1a=x,foo=1,bar=2", []change{insert("bar", "3"), insert("foo", "4")}, "foo=4,bar=3,1a=x"},
		{"a member moved to the front", "1a=x,foo=1,bar=2", []change{insert("bar", "2")}, "bar=2,1a=x,foo=1"},
		{"a deleted member is gone", "foo=1,1a=x,bar=2", []change{remove("foo")}, "1a=x,bar=2"},
		{"the last one deleted", "foo=1,1a=x,bar=2", []change{remove("bar")}, "foo=1,1a=x"},
		{"all deleted", "foo=1,1a=x,bar=2", []change{remove("foo"), remove("bar")}, "1a=x"},
		{"deleted and inserted again", "foo=1,1a=x,bar=2", []change{remove("bar"), insert("bar", "3")}, "bar=3,foo=1,1a=x"},
		{"all replaced", "foo=1,1a=x,bar=2", []change{func(trace.TraceState) trace.TraceState { ts, _ := trace.ParseTraceState("z=1"); return ts }}, "z=1,1a=x"},
		{"a full list drops its last", full(1, 31) + ",foo=1", []change{insert("new", "1")}, "new=1," + full(1, 31)},
		{"a full list, an update drops nothing", full(1, 31) + ",foo=1", []change{insert("foo", "2")}, "foo=2," + full(1, 31)},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ctx := extract(t, header("Traceparent", parent, "Tracestate", tt.received))
			for _, c := range tt.changes {
				ctx = update(ctx, c)
			}
			if got := inject(ctx).Get("Tracestate"); got != tt.want {
				t.Errorf("received %q, sent %q, want %q", tt.received, got, tt.want)
			}
		})
	}
}

// TestMergeProperty compares what is sent with a list that is changed directly.
func TestMergeProperty(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "1a", "2b", "x@y@z", "e@"}
	for i := range 32 {
		keys = append(keys, fmt.Sprintf("k%d", i), fmt.Sprintf("%dk", i))
	}
	held := func(key string) bool {
		_, err := trace.TraceState{}.Insert(key, "1")
		return err == nil
	}
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		few := keys[:8+rng.IntN(len(keys)-8)]

		var model []string // key=value
		for _, i := range rng.Perm(len(few))[:rng.IntN(min(len(few), 32)+1)] {
			model = append(model, few[i]+"=0")
		}
		received := strings.Join(model, ",")
		ctx := extract(t, header("Traceparent", parent, "Tracestate", received))
		var steps []string
		for step := range rng.IntN(8) {
			key := few[rng.IntN(len(few))]
			switch {
			case rng.IntN(6) == 0: // the next service
				ctx = extract(t, header("Traceparent", parent, "Tracestate", inject(ctx).Get("Tracestate")))
				model = model[:min(len(model), 32)]
				steps = append(steps, "hop")
				continue
			case !held(key):
				continue // nobody can change it through the API
			}
			i := slices.IndexFunc(model, func(m string) bool { return strings.HasPrefix(m, key+"=") })
			if i >= 0 {
				model = slices.Delete(model, i, i+1)
			}
			if rng.IntN(3) == 0 {
				ctx = update(ctx, remove(key))
				steps = append(steps, "-"+key)
				continue
			}
			value := strconv.Itoa(step + 1)
			model = slices.Insert(model, 0, key+"="+value)
			ctx = update(ctx, insert(key, value))
			steps = append(steps, "+"+key)
		}
		want := strings.Join(model[:min(len(model), 32)], ",")
		if got := inject(ctx).Get("Tracestate"); got != want {
			t.Fatalf("seed %d: received %q, changed %q:\nsent %q\nwant %q", seed, received, steps, got, want)
		}
	}
}

// Samplers are what changes a tracestate in the SDK.
type stateSampler struct {
	change func(trace.TraceState) trace.TraceState
}

func (s stateSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	ts := trace.SpanContextFromContext(p.ParentContext).TraceState()
	return sdktrace.SamplingResult{Decision: sdktrace.RecordAndSample, Tracestate: s.change(ts)}
}
func (stateSampler) Description() string { return "stateSampler" }

func TestMembersSurvive(t *testing.T) {
	const received = "1a=x,foo=1,b@c@d=y,bar=2"
	sdk := func(change func(trace.TraceState) trace.TraceState) trace.Tracer {
		return sdktrace.NewTracerProvider(sdktrace.WithSampler(stateSampler{change})).Tracer("")
	}
	same := func(ts trace.TraceState) trace.TraceState { return ts }
	ctx := extract(t, header("Traceparent", parent, "Tracestate", received))
	start := func(ctx context.Context, tr trace.Tracer, opts ...trace.SpanStartOption) context.Context {
		ctx, span := tr.Start(ctx, "span", opts...)
		t.Cleanup(func() { span.End() })
		return ctx
	}
	for _, tt := range []struct {
		path string
		ctx  context.Context
		want string
	}{
		{"pass-through", ctx, received},
		{"pass-through with a no-op provider", start(ctx, noop.NewTracerProvider().Tracer("")), received},
		{"pass-through with the provider of the remote span", start(ctx, trace.SpanFromContext(ctx).TracerProvider().Tracer("")), received},
		{"child span", start(ctx, sdk(same)), received},
		{"grandchild", start(start(ctx, sdk(same)), sdk(same)), received},
		{"unsampled child", start(ctx, sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("")), received},
		{"sampler inserts", start(ctx, sdk(insert("ot", "th:0"))), "ot=th:0," + received},
		{"sampler updates", start(ctx, sdk(insert("bar", "3"))), "bar=3,1a=x,foo=1,b@c@d=y"},
		{"sampler deletes", start(ctx, sdk(remove("foo"))), "1a=x,b@c@d=y,bar=2"},
		{"detached: what the SpanContext holds", trace.ContextWithSpanContext(t.Context(), trace.SpanContextFromContext(ctx)), "foo=1,bar=2"},
		{"span moved to another context", trace.ContextWithSpan(t.Context(), trace.SpanFromContext(ctx)), received},
		{"without cancel", context.WithoutCancel(ctx), received},
		{"new root", start(ctx, sdk(same), trace.WithNewRoot()), ""},
		{"another trace", trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(ctx).WithTraceID(trace.TraceID{9})), "foo=1,bar=2"},
		{"another remote parent in the same trace", trace.ContextWithRemoteSpanContext(ctx, trace.SpanContextFromContext(ctx).WithSpanID(trace.SpanID{9})), "foo=1,bar=2"},
		{"another message", extractInto(ctx, "2b=z"), "2b=z"},
		{"another message without tracestate", extractInto(ctx, ""), ""},
	} {
		t.Run(tt.path, func(t *testing.T) {
			if got := inject(tt.ctx).Get("Tracestate"); got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
	if h := inject(trace.ContextWithSpanContext(ctx, trace.SpanContext{})); len(h) != 0 {
		t.Errorf("an invalid span context was set, sent %v", h)
	}
}
