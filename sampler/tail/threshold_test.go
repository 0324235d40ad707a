package tail_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

const (
	low  = 0x00000000000001 // a randomness that only 100% keeps
	mid  = 0xa0000000000000 // 50% keeps it, 25% does not
	high = 0xf0000000000000 // 10% keeps it
)

// TestAdjustedCounts lists what becomes of th. Heads are consistent.
func TestAdjustedCounts(t *testing.T) {
	quarter, half := tail.Policy{Name: "quarter", Probability: 0.25}, tail.Policy{Name: "half", Probability: 0.5}
	always := tail.Policy{Name: "always", Root: tail.Condition{Match: sampler.Match{Name: "root"}}}
	limited := tail.Policy{Name: "limited", TracesPerSecond: 100}
	const dropped = "dropped"
	for name, tt := range map[string]struct {
		head       float64
		policies   []tail.Policy
		randomness uint64
		incoming   string // tracestate
		fails      bool
		want       string // tracestate, or dropped
	}{
		"kept by probability":                            {0, []tail.Policy{quarter}, high, "", false, "ot=th:c"},
		"not kept by probability":                        {0, []tail.Policy{quarter}, mid, "", false, dropped},
		"rv overrides the trace id":                      {0, []tail.Policy{quarter}, low, "ot=rv:f0000000000000", false, "ot=th:c;rv:f0000000000000"},
		"rv overrides the trace id the other way":        {0, []tail.Policy{quarter}, high, "ot=rv:00000000000001", false, dropped},
		"others' members and sub-keys stay":              {0, []tail.Policy{quarter}, high, "a=b,ot=x:y", false, "ot=th:c;x:y,a=b"},
		"kept for a reason":                              {0, []tail.Policy{failedPolicy, quarter}, high, "", true, ""},
		"kept for a reason: th of the parent goes":       {0, []tail.Policy{failedPolicy}, high, "ot=th:8;x:y", true, "ot=x:y"},
		"kept by head":                                   {0.5, nil, high, "", false, "ot=th:8"},
		"kept by head, and for a reason":                 {0.5, []tail.Policy{failedPolicy}, high, "", true, "ot=th:8"},
		"kept by head and by a larger probability":       {0.25, []tail.Policy{half}, high, "", false, "ot=th:8"},
		"kept by head and by a smaller probability":      {0.5, []tail.Policy{quarter}, high, "", false, "ot=th:8"},
		"a later probability is larger":                  {0, []tail.Policy{quarter, half}, high, "", false, "ot=th:8"},
		"a later probability is larger, and alone keeps": {0, []tail.Policy{quarter, half}, mid, "", false, "ot=th:8"},
		"a later probability is smaller":                 {0, []tail.Policy{half, quarter}, high, "", false, "ot=th:8"},
		"a later policy would have kept it anyway":       {0, []tail.Policy{quarter, always}, high, "", false, ""},
		"a later policy keeps it":                        {0, []tail.Policy{quarter, always}, mid, "", false, ""},
		"a later policy is limited by rate":              {0, []tail.Policy{quarter, limited}, high, "", false, ""},
		"probability limited by rate":                    {0, []tail.Policy{{Probability: 0.25, TracesPerSecond: 100}}, high, "", false, ""},
		"probability 1":                                  {0, []tail.Policy{{Probability: 1}}, low, "", false, "ot=th:0"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.policies == nil {
				tt.policies = []tail.Policy{}
			}
			s := start(t, tail.Record(sampler.New(sampler.Probability(tt.head))), tail.Config{Policies: tt.policies})
			_, root := s.Start(from(t, traceID(tt.randomness), 0x02, tt.incoming), "root")
			if tt.fails {
				root.SetStatus(codes.Error, "")
			}
			root.End()
			got := dropped
			if spans := s.kept.Ended(); len(spans) > 0 {
				got = spans[0].SpanContext().TraceState().String()
				if flags := spans[0].SpanContext().TraceFlags(); flags != 0x03 {
					t.Errorf("flags %v, want sampled and the random flag as it was", flags)
				}
			}
			if got != tt.want {
				t.Errorf("tracestate %q, want %q", got, tt.want)
			}
		})
	}
}

// TestAdjustedCountsAreUnbiased adds up what the kept spans say they stand for.
func TestAdjustedCountsAreUnbiased(t *testing.T) {
	const traces = 40_000
	for name, tt := range map[string]struct {
		head sdktrace.Sampler
		tail float64
	}{
		"no head":                {sdktrace.NeverSample(), 0.1},
		"head keeps less":        {sampler.New(sampler.Probability(0.05)), 0.1},
		"head keeps more":        {sampler.New(sampler.Probability(0.3)), 0.1},
		"head is not consistent": {sdktrace.TraceIDRatioBased(0.3), 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, tail.Record(tt.head), tail.Config{Policies: []tail.Policy{{Probability: tt.tail}}})
			rnd := rand.New(rand.NewPCG(3, 4))
			for range traces {
				// A rejected parent, so that the trace id is the test's choice.
				_, span := s.Start(from(t, traceID(rnd.Uint64()), 0x02, ""), "root")
				span.End()
			}
			var sum float64
			for _, span := range s.kept.Ended() {
				sum += adjustedCount(t, span)
			}
			// Five standard deviations of the count for a share of 0.1.
			if tolerance := 5 * math.Sqrt(traces*9); math.Abs(sum-traces) > tolerance {
				t.Errorf("adjusted counts add up to %.0f, want %d ± %.0f", sum, traces, tolerance)
			}
		})
	}
}

// adjustedCount returns 0 for a span without th.
func adjustedCount(t *testing.T, s sdktrace.ReadOnlySpan) float64 {
	t.Helper()
	ot := s.SpanContext().TraceState().Get("ot")
	if ot == "" {
		return 0
	}
	threshold, err := sampler.ParseThreshold(ot[len("th:"):])
	if err != nil {
		t.Fatal(err)
	}
	return threshold.AdjustedCount()
}

func TestRecord(t *testing.T) {
	for head, want := range map[sdktrace.Sampler]sdktrace.SamplingDecision{
		sdktrace.NeverSample():  sdktrace.RecordOnly,
		sdktrace.AlwaysSample(): sdktrace.RecordAndSample,
	} {
		s := tail.Record(head)
		if got := s.ShouldSample(sdktrace.SamplingParameters{ParentContext: context.Background()}).Decision; got != want {
			t.Errorf("%s: got %v, want %v", s.Description(), got, want)
		}
		if got, want := s.Description(), "TailRecord{"+head.Description()+"}"; got != want {
			t.Errorf("description %q, want %q", got, want)
		}
	}
}

// TestStaleThreshold: a sampler that knows no th leaves the parent's.
func TestStaleThreshold(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{failedPolicy}})
	_, root := s.Start(from(t, traceID(low), 0x02, "ot=th:8;x:y"), "root")
	root.SetStatus(codes.Error, "")
	root.End()
	if got := s.kept.Ended()[0].SpanContext().TraceState().String(); got != "ot=x:y" {
		t.Errorf("tracestate %q, want it without th", got)
	}
}

// TestMixedHead: what the head kept passes unchanged, whatever becomes of the
// rest of its fragment.
func TestMixedHead(t *testing.T) {
	head := sampler.New(sampler.Rules(sampler.Rule{Match: sampler.Match{Name: "head's"}, Sampler: sampler.AlwaysOn()}))
	s := start(t, tail.Record(head), tail.Config{Policies: []tail.Policy{failedPolicy}})
	for _, fails := range []bool{true, false} {
		ctx, root := s.Start(context.Background(), "head's")
		_, child := s.Start(ctx, "child")
		if fails {
			child.SetStatus(codes.Error, "")
		}
		child.End()
		root.End()
	}
	s.wantKept(t, "child", "head's", "head's")
	for _, span := range s.kept.Ended()[1:] {
		if got := span.SpanContext().TraceState().String(); got != "ot=th:0" || len(span.Attributes()) != 0 {
			t.Errorf("%s has tracestate %q and attributes %v, want them unchanged", span.Name(), got, span.Attributes())
		}
	}
}
