package sampler_test

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

const (
	low  = 0x20000000000000 // dropped by th:8, kept by th:1
	high = 0xe0000000000000 // kept by th:8 and by th:c
)

type intent sampler.Intent

func (i intent) SamplingIntent(sampler.Parameters) sampler.Intent { return sampler.Intent(i) }
func (intent) Description() string                                { return "fixed" }

func threshold(t *testing.T, th string) sampler.Threshold {
	t.Helper()
	parsed, err := sampler.ParseThreshold(th)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// The rules of "CompositeSampler", "ComposableParentThreshold" and
// "TraceState: Probability Sampling".
func TestShouldSample(t *testing.T) {
	half := sampler.Probability(0.5)
	follow := sampler.ParentThreshold(half)
	long := "k:" + strings.Repeat("x", 252)
	for _, c := range []struct {
		name   string
		policy sampler.Composable
		parent parent
		keep   bool
		state  string
	}{
		{"root above the threshold", half, parent{randomness: high}, true, "ot=th:8"},
		{"root below the threshold", half, parent{randomness: low}, false, ""},
		{"root at the threshold", half, parent{randomness: 1 << 55}, true, "ot=th:8"},
		{"always on", sampler.AlwaysOn(), parent{}, true, "ot=th:0"},
		{"always off", sampler.AlwaysOff(), parent{randomness: high}, false, ""},
		{"probability 0 is always off", sampler.Probability(0), parent{randomness: high}, false, ""},
		{"rv instead of the trace id", half, parent{randomness: low, tracestate: "ot=rv:e0000000000000"}, true, "ot=th:8;rv:e0000000000000"},
		{"rv that drops", half, parent{randomness: high, tracestate: "ot=rv:20000000000000"}, false, "ot=rv:20000000000000"},
		{"rv too short counts as absent and stays", half, parent{randomness: high, tracestate: "ot=rv:2"}, true, "ot=th:8;rv:2"},
		{"rv in upper case counts as absent and stays", half, parent{randomness: high, tracestate: "ot=rv:0000000000000A"}, true, "ot=th:8;rv:0000000000000A"},
		{"other sub-keys and members stay", half, parent{randomness: high, tracestate: "a=1,ot=k:v;th:c;m:n,b=2"}, true, "ot=th:8;k:v;m:n,a=1,b=2"},
		{"dropped: th is erased, the rest stays", half, parent{randomness: low, tracestate: "a=1,ot=k:v;th:1"}, false, "ot=k:v,a=1"},
		{"dropped: an ot that held only th goes", half, parent{randomness: low, tracestate: "a=1,ot=th:1"}, false, "a=1"},
		{"dropped: a tracestate that held only th goes", half, parent{randomness: low, tracestate: "ot=th:1"}, false, ""},
		{"unchanged th keeps the tracestate as it is", half, parent{randomness: high, tracestate: "a=1,ot=k:v;th:80"}, true, "a=1,ot=k:v;th:80"},
		{"no room for th", half, parent{randomness: high, tracestate: "ot=" + long}, true, "ot=" + long},
		{"no room for a longer th: the old one goes", sampler.Probability(0.01), parent{randomness: 1<<56 - 1, tracestate: "ot=th:8;" + long[:len(long)-5]}, true, "ot=" + long[:len(long)-5]},

		{"parent kept with th", follow, parent{trace.FlagsSampled, true, "ot=th:c", high}, true, "ot=th:c"},
		{"parent kept with th and rv", follow, parent{trace.FlagsSampled, true, "ot=th:c;rv:f0000000000000", low}, true, "ot=th:c;rv:f0000000000000"},
		{"parent kept against its th", follow, parent{trace.FlagsSampled, true, "ot=th:c;k:v", low}, true, "ot=k:v"},
		{"parent dropped against its th", follow, parent{0, true, "ot=th:c;k:v", high}, false, "ot=k:v"},
		{"parent dropped in line with its th", follow, parent{0, true, "ot=th:c;k:v", low}, false, "ot=k:v"},
		{"parent kept without th", follow, parent{trace.FlagsSampled, true, "a=1", low}, true, "a=1"},
		{"parent kept with a malformed th", follow, parent{trace.FlagsSampled, true, "ot=th:xyz;k:v", low}, true, "ot=k:v"},
		{"parent kept with an empty th", follow, parent{trace.FlagsSampled, false, "ot=th:", low}, true, ""},
		{"parent dropped without th", follow, parent{0, true, "", high}, false, ""},
		{"local parent dropped", follow, parent{0, false, "", high}, false, ""},
		{"of several th the first counts, all go", follow, parent{trace.FlagsSampled, true, "ot=th:c;th:1", low}, true, ""},

		{"not reliable: no th", intent{Threshold: threshold(t, "0")}, parent{tracestate: "ot=th:8;k:v", randomness: high}, true, "ot=k:v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			handledErrors(t)
			got := sampler.New(c.policy).ShouldSample(sdktrace.SamplingParameters{
				ParentContext: c.parent.context(t), TraceID: traceID(c.parent.randomness),
			})
			if keep := got.Decision == sdktrace.RecordAndSample; keep != c.keep || got.Tracestate.String() != c.state {
				t.Errorf("got keep %v, tracestate %q; want %v, %q", keep, got.Tracestate, c.keep, c.state)
			}
		})
	}
}

func TestThresholdOfAnInvalidParentIsIgnored(t *testing.T) {
	state, _ := trace.ParseTraceState("ot=th:0;rv:20000000000000")
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceFlags: trace.FlagsSampled, TraceState: state,
	}))
	got := sampler.New(sampler.ParentThreshold(sampler.Probability(0.5))).ShouldSample(
		sdktrace.SamplingParameters{ParentContext: ctx, TraceID: traceID(high)})
	if got.Decision != sdktrace.Drop || got.Tracestate.String() != "ot=rv:20000000000000" {
		t.Errorf("got %v, %q: want a root decision by rv", got.Decision, got.Tracestate)
	}
}

func TestNilParentContextIsARoot(t *testing.T) {
	got := sampler.New(sampler.ParentThreshold(sampler.AlwaysOn())).ShouldSample(sdktrace.SamplingParameters{})
	if got.Decision != sdktrace.RecordAndSample {
		t.Errorf("got %v", got.Decision)
	}
}

func TestNoRoomForThresholdIsReportedOnce(t *testing.T) {
	errs := handledErrors(t)
	s := sampler.New(sampler.AlwaysOn())
	p := parent{tracestate: "ot=k:" + strings.Repeat("x", 252)}
	for range 3 {
		s.ShouldSample(sdktrace.SamplingParameters{ParentContext: p.context(t)})
	}
	if len(*errs) != 1 {
		t.Errorf("got %d errors, want 1: %v", len(*errs), *errs)
	}
}

func TestUnreliableThresholdDrawsItsOwnRandomness(t *testing.T) {
	s := sampler.New(intent{Threshold: threshold(t, "8")})
	kept := 0
	for range 10_000 {
		if s.ShouldSample(sdktrace.SamplingParameters{TraceID: traceID(high)}).Decision == sdktrace.RecordAndSample {
			kept++
		}
	}
	if kept < 4_500 || kept > 5_500 { // ten standard deviations
		t.Errorf("kept %d of 10,000 spans of one trace at an unreliable 50%%", kept)
	}
}

func TestComposablesCannotChangeOT(t *testing.T) {
	insert := func(key, value string) func(trace.TraceState) trace.TraceState {
		return func(ts trace.TraceState) trace.TraceState {
			ts, err := ts.Insert(key, value)
			if err != nil {
				t.Error(err)
			}
			return ts
		}
	}
	for _, c := range []struct {
		name        string
		change      func(trace.TraceState) trace.TraceState
		before, now string
	}{
		{"other members may change", insert("a", "2"), "a=1,b=1", "ot=th:8,a=2,b=1"},
		{"ot is put back", insert("ot", "rv:00000000000000"), "ot=rv:e0000000000000", "ot=th:8;rv:e0000000000000"},
		{"a new ot is removed", insert("ot", "rv:00000000000000"), "", "ot=th:8"},
		{"a deleted ot is restored", func(ts trace.TraceState) trace.TraceState { return ts.Delete("ot") }, "ot=k:v", "ot=th:8;k:v"},
		{"everything is deleted", func(trace.TraceState) trace.TraceState { return trace.TraceState{} }, "a=1,ot=k:v", "ot=th:8;k:v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sampler.New(intent{Threshold: threshold(t, "8"), Reliable: true, TraceState: c.change})
			got := s.ShouldSample(sdktrace.SamplingParameters{
				ParentContext: parent{tracestate: c.before, randomness: high}.context(t), TraceID: traceID(high),
			})
			if got.Tracestate.String() != c.now {
				t.Errorf("got %q, want %q", got.Tracestate, c.now)
			}
		})
	}
}

func TestAFullTracestateMakesRoomForOT(t *testing.T) {
	members := make([]string, 32)
	for i := range members {
		members[i] = string(rune('a'+i%26)) + string(rune('a'+i/26)) + "=1"
	}
	got := sampler.New(sampler.AlwaysOn()).ShouldSample(sdktrace.SamplingParameters{
		ParentContext: parent{tracestate: strings.Join(members, ",")}.context(t),
	})
	if want := "ot=th:0," + strings.Join(members[:31], ","); got.Tracestate.String() != want {
		t.Errorf("got %q, want %q", got.Tracestate, want)
	}
}

func TestConsistentOverAMillionTraces(t *testing.T) {
	ratios := []float64{1, 0.5, 0.1, 0.01, 0.001}
	samplers := make([]sdktrace.Sampler, len(ratios))
	for i, ratio := range ratios {
		samplers[i] = sampler.New(sampler.Probability(ratio))
	}
	const traces, part = 1_000_000, (1 << 56) / 1_000_000
	estimate := make([]float64, len(ratios))
	rnd := rand.New(rand.NewPCG(3, 5))
	for i := range uint64(traces) {
		// One trace in each of a million equal parts of the randomness: chance
		// alone would move the estimate at 0.1% by 3%.
		p := sdktrace.SamplingParameters{TraceID: traceID(i*part + rnd.Uint64N(part))}
		keptBefore := true
		for i, s := range samplers {
			result := s.ShouldSample(p)
			kept := result.Decision == sdktrace.RecordAndSample
			if kept && !keptBefore {
				t.Fatalf("trace %v is kept at %v and not at %v", p.TraceID, ratios[i], ratios[i-1])
			}
			keptBefore = kept
			if kept {
				estimate[i] += adjustedCount(t, result.Tracestate)
			}
		}
	}
	for i, ratio := range ratios {
		if deviation := math.Abs(estimate[i]/traces - 1); deviation > 0.01 {
			t.Errorf("ratio %v: adjusted counts add up to %.0f of %d spans", ratio, estimate[i], traces)
		}
	}
}

// adjustedCount reads th as a backend would, independently of this package.
func adjustedCount(t testing.TB, state trace.TraceState) float64 {
	t.Helper()
	for sub := range strings.SplitSeq(state.Get("ot"), ";") {
		if th, ok := strings.CutPrefix(sub, "th:"); ok {
			rejected := 0.0
			for i, digit := range th {
				rejected += float64(strings.IndexRune("0123456789abcdef", digit)) * math.Pow(16, -float64(i+1))
			}
			return 1 / (1 - rejected)
		}
	}
	t.Fatalf("no th in %q", state)
	return 0
}

// A real chain: two SDKs joined by the W3C propagator, the second one with a
// ratio of its own for roots.
func TestThresholdTravelsThroughTwoServices(t *testing.T) {
	propagate := propagation.TraceContext{}
	frontSpans, backSpans := tracetest.NewInMemoryExporter(), tracetest.NewInMemoryExporter()
	front := sdktrace.NewTracerProvider(sdktrace.WithSyncer(frontSpans), sdktrace.WithSampler(sampler.New(sampler.ParentThreshold(sampler.Probability(0.25)))))
	back := sdktrace.NewTracerProvider(sdktrace.WithSyncer(backSpans), sdktrace.WithSampler(sampler.New(sampler.ParentThreshold(sampler.Probability(0.5)))))
	for range 2_000 {
		ctx, client := front.Tracer("").Start(context.Background(), "call")
		carrier := propagation.MapCarrier{}
		propagate.Inject(ctx, carrier)
		_, server := back.Tracer("").Start(propagate.Extract(context.Background(), carrier), "serve")
		if client.SpanContext().IsSampled() != server.SpanContext().IsSampled() {
			t.Fatalf("front kept: %v, back kept: %v", client.SpanContext().IsSampled(), server.SpanContext().IsSampled())
		}
		server.End()
		client.End()
	}
	kept := backSpans.GetSpans()
	if len(kept) != len(frontSpans.GetSpans()) || len(kept) < 300 || len(kept) > 700 {
		t.Fatalf("front kept %d, back kept %d of 2,000 at 25%%", len(frontSpans.GetSpans()), len(kept))
	}
	for _, span := range kept {
		if got := span.SpanContext.TraceState().String(); got != "ot=th:c" {
			t.Fatalf("tracestate %q in the second service, want ot=th:c", got)
		}
	}
}

// An upstream TraceIDRatioBased publishes nothing: it is followed, and the
// unknown count stays unknown.
func TestFollowsAnUpstreamTraceIDRatioBased(t *testing.T) {
	upstream := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5))
	ours := sampler.New(sampler.ParentThreshold(sampler.Probability(0.1)))
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 1_000 {
		p := root(rnd, "")
		kept := upstream.ShouldSample(p).Decision
		var flags trace.TraceFlags
		if kept == sdktrace.RecordAndSample {
			flags = trace.FlagsSampled
		}
		p.ParentContext = trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: p.TraceID, SpanID: trace.SpanID{1}, TraceFlags: flags,
		}))
		if got := ours.ShouldSample(p); got.Decision != kept || got.Tracestate.Len() != 0 {
			t.Fatalf("upstream %v, here %v with %q", kept, got.Decision, got.Tracestate)
		}
	}
}

func TestProbabilityWarnsOnceAboutPresumedRandomness(t *testing.T) {
	for _, c := range []struct {
		name   string
		parent parent
		want   int
	}{
		{"child without the random flag", parent{flags: trace.FlagsSampled}, 1},
		{"child with the random flag", parent{flags: trace.FlagsSampled | 0x02}, 0},
		{"child with rv", parent{flags: trace.FlagsSampled, tracestate: "ot=rv:20000000000000"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			errs := handledErrors(t)
			s := sampler.New(sampler.Probability(0.5))
			for range 3 {
				s.ShouldSample(sdktrace.SamplingParameters{ParentContext: c.parent.context(t)})
				s.ShouldSample(sdktrace.SamplingParameters{})
			}
			if len(*errs) != c.want {
				t.Errorf("got %d warnings, want %d: %v", len(*errs), c.want, *errs)
			}
		})
	}
}

func TestProbabilityReportsRatiosOutOfRange(t *testing.T) {
	for ratio, want := range map[float64]string{1.5: "Probability{1}", -1: "AlwaysOff", math.NaN(): "AlwaysOff"} {
		errs := handledErrors(t)
		if got := sampler.Probability(ratio).Description(); got != want || len(*errs) != 1 {
			t.Errorf("Probability(%v) is %s with %d errors, want %s with 1", ratio, got, len(*errs), want)
		}
	}
}

func TestAnnotate(t *testing.T) {
	a, b := attribute.String("a", "1"), attribute.Int("b", 2)
	s := sampler.New(sampler.Annotate(sampler.Annotate(sampler.Probability(0.5), a), b))
	kept := s.ShouldSample(sdktrace.SamplingParameters{TraceID: traceID(high)})
	if len(kept.Attributes) != 2 || kept.Attributes[0] != a || kept.Attributes[1] != b {
		t.Errorf("kept with %v", kept.Attributes)
	}
	if dropped := s.ShouldSample(sdktrace.SamplingParameters{TraceID: traceID(low)}); dropped.Attributes != nil {
		t.Errorf("dropped with %v", dropped.Attributes)
	}
}

func TestAnyOf(t *testing.T) {
	a, b := attribute.String("a", "1"), attribute.String("b", "1")
	follow := intent{Threshold: sampler.ThresholdFor(1)}
	for _, c := range []struct {
		name      string
		delegates []sampler.Composable
		threshold string
		reliable  bool
		attrs     int
	}{
		{"none", nil, "none", false, 0},
		{"all off", []sampler.Composable{sampler.AlwaysOff(), sampler.AlwaysOff()}, "none", false, 0},
		{"lowest threshold", []sampler.Composable{sampler.Probability(0.25), sampler.AlwaysOff(), sampler.Probability(0.5)}, "8", true, 0},
		{"lowest threshold not reliable", []sampler.Composable{sampler.Probability(0.25), follow}, "0", false, 0},
		{"equal thresholds, one reliable", []sampler.Composable{follow, sampler.AlwaysOn(), follow}, "0", true, 0},
		{"attributes of all", []sampler.Composable{sampler.Annotate(sampler.AlwaysOff(), a), sampler.Annotate(sampler.AlwaysOn(), b)}, "0", true, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := sampler.AnyOf(c.delegates...).SamplingIntent(sampler.NewParameters(sdktrace.SamplingParameters{}))
			if got.Threshold.String() != c.threshold || got.Reliable != c.reliable || len(got.Attributes) != c.attrs {
				t.Errorf("got %v, reliable %v, attributes %v", got.Threshold, got.Reliable, got.Attributes)
			}
		})
	}
}

func TestDescriptions(t *testing.T) {
	s := sampler.New(sampler.ParentThreshold(sampler.Rules(
		sampler.Rule{Match: sampler.Match{Name: "GET /healthz", Kind: trace.SpanKindServer, Parent: sampler.LocalParent | sampler.RemoteParent}},
		sampler.Rule{
			Match:   sampler.Match{Attributes: map[attribute.Key]string{"http.route": "/pay*"}},
			Sampler: sampler.Annotate(sampler.AlwaysOn(), attribute.Int("n", 1)),
		},
		sampler.Rule{Sampler: sampler.AnyOf(sampler.Probability(0.1), sampler.RateLimit(2.5))},
	)))
	want := `CompositeSampler{ParentThreshold{root:Rules{name="GET /healthz" kind=server parent=local|remote: AlwaysOff; ` +
		`http.route="/pay*": Annotate{AlwaysOn,n=1}; any: AnyOf{Probability{0.1},RateLimit{2.5/s}}}}}`
	if got := s.Description(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
