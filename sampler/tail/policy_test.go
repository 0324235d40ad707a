package tail_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

func TestConditions(t *testing.T) {
	// The fragment is a root "GET /a" of 300 ms with http.response.status_code
	// 200, and its child "query" of 100 ms, kind client, with db.rows 7 and
	// status Ok.
	rows := func(pattern string) sampler.Match {
		return sampler.Match{Attributes: map[attribute.Key]string{"db.rows": pattern}}
	}
	for name, tt := range map[string]struct {
		policy tail.Policy
		reason string
		want   bool
	}{
		"error":                           {tail.Policy{Span: tail.Condition{Error: true}}, "error", false},
		"root slower":                     {tail.Policy{Root: tail.Condition{SlowerThan: 299 * time.Millisecond}}, "slow", true},
		"root as slow as the limit":       {tail.Policy{Root: tail.Condition{SlowerThan: 300 * time.Millisecond}}, "slow", false},
		"any span slower":                 {tail.Policy{Span: tail.Condition{SlowerThan: 200 * time.Millisecond}}, "slow", true},
		"name of root":                    {tail.Policy{Root: tail.Condition{Match: sampler.Match{Name: "GET *"}}}, "match", true},
		"name of child is not the root's": {tail.Policy{Root: tail.Condition{Match: sampler.Match{Name: "query"}}}, "match", false},
		"name of any span":                {tail.Policy{Span: tail.Condition{Match: sampler.Match{Name: "query"}}}, "match", true},
		"kind":                            {tail.Policy{Span: tail.Condition{Match: sampler.Match{Kind: trace.SpanKindClient}}}, "match", true},
		"other kind":                      {tail.Policy{Span: tail.Condition{Match: sampler.Match{Kind: trace.SpanKindServer}}}, "match", false},
		"parent":                          {tail.Policy{Span: tail.Condition{Match: sampler.Match{Parent: sampler.RemoteParent}}}, "match", false},
		"attribute":                       {tail.Policy{Span: tail.Condition{Match: rows("7")}}, "match", true},
		"attribute of another value":      {tail.Policy{Span: tail.Condition{Match: rows("8")}}, "match", false},
		"status code":                     {tail.Policy{Span: tail.Condition{Status: codes.Ok}}, "status", true},
		"status code of the root":         {tail.Policy{Root: tail.Condition{Status: codes.Ok}}, "status", false},
		"all of a condition hold for the same span": {
			tail.Policy{Span: tail.Condition{Match: rows("7"), SlowerThan: 200 * time.Millisecond}}, "match+slow", false,
		},
		"both conditions": {
			tail.Policy{Root: tail.Condition{SlowerThan: 200 * time.Millisecond}, Span: tail.Condition{Match: rows("7")}}, "match+slow", true,
		},
		"everything": {tail.Policy{Probability: 1}, "probability", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, dropAll, tail.Config{Policies: []tail.Policy{tt.policy}})
			now := time.Now()
			ctx, root := s.Start(context.Background(), "GET /a", trace.WithTimestamp(now),
				trace.WithAttributes(attribute.Int("http.response.status_code", 200)))
			_, child := s.Start(ctx, "query", trace.WithTimestamp(now),
				trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attribute.Int("db.rows", 7)))
			child.SetStatus(codes.Ok, "")
			child.End(trace.WithTimestamp(now.Add(100 * time.Millisecond)))
			root.End(trace.WithTimestamp(now.Add(300 * time.Millisecond)))
			if !tt.want {
				s.wantKept(t)
				return
			}
			s.wantKept(t, "query", "GET /a")
			if got := attr(s.kept.Ended()[1], "http.response.status_code"); got != "200" {
				t.Errorf("status code %q, want 200", got)
			}
			if got := attr(s.kept.Ended()[1], tail.ReasonKey); got != tt.reason {
				t.Errorf("reason %q, want %q", got, tt.reason)
			}
		})
	}
}

func TestFirstMatchNamesThePolicy(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{
		{Name: "failed checkout", Root: tail.Condition{Match: sampler.Match{Name: "checkout"}, Error: true}},
		failedPolicy,
		{Probability: 1},
	}})
	for _, root := range []string{"checkout", "search"} {
		_, span := s.Start(context.Background(), root)
		span.SetStatus(codes.Error, "")
		span.End()
	}
	_, span := s.Start(context.Background(), "good")
	span.End()
	for i, want := range []string{"failed checkout/error+match", "error/error", "probability/probability"} {
		span := s.kept.Ended()[i]
		if got := attr(span, tail.PolicyKey) + "/" + attr(span, tail.ReasonKey); got != want {
			t.Errorf("%s is kept by %s, want %s", span.Name(), got, want)
		}
	}
}

func TestRateLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		policy tail.Policy
		want   int // in the first second, and in each later one
	}{
		"traces": {tail.Policy{TracesPerSecond: 10}, 10},
		"spans":  {tail.Policy{SpansPerSecond: 20}, 10}, // of two spans each
		"both":   {tail.Policy{TracesPerSecond: 10, SpansPerSecond: 10}, 5},
		"slow":   {tail.Policy{TracesPerSecond: 0.5}, 0},
		"alone":  {tail.Policy{TracesPerSecond: 10}, 10}, // of one span each
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, dropAll, tail.Config{Policies: []tail.Policy{tt.policy, failedPolicy}})
				const seconds, perSecond = 20, 100
				for range seconds * perSecond {
					ctx, root := s.Start(context.Background(), "root")
					if name != "alone" {
						_, child := s.Start(ctx, "child")
						child.End()
					}
					root.End()
					time.Sleep(time.Second / perSecond)
				}
				rate := tt.policy.TracesPerSecond
				if spans := tt.policy.SpansPerSecond / 2; rate == 0 || spans > 0 && spans < rate {
					rate = spans
				}
				// A second's worth may come at once, at least one trace.
				got := s.Stats().Kept["rate"]
				if low, high := rate*seconds, rate*(seconds+1)+1; float64(got) < low || float64(got) > high {
					t.Errorf("kept %d traces in %d s, want %v to %v", got, seconds, low, high)
				}
				// What is beyond the limit goes on to the next policy.
				_, root := s.Start(context.Background(), "failed")
				root.SetStatus(codes.Error, "")
				root.End()
				if got := s.Stats().Kept; got["rate"]+got["error"] == 0 {
					t.Errorf("kept %v", got)
				}
			})
		})
	}
}

func TestConfigErrors(t *testing.T) {
	for want, cfg := range map[string]tail.Config{
		"Config.MaxTraces is -1":                               {MaxTraces: -1},
		"Config.MaxSpansPerTrace is -1":                        {MaxSpansPerTrace: -1},
		"Config.MaxBytes is -5":                                {MaxBytes: -5},
		"Config.Timeout is -1s":                                {Timeout: -time.Second},
		"Config.Timeout is 1ns":                                {Timeout: 1},
		`Config.Policies[0] states nothing`:                    {Policies: []tail.Policy{{Name: "x"}}},
		`Config.Policies[1]: name "error" is that of Policies`: {Policies: []tail.Policy{failedPolicy, failedPolicy}},
		`Name is "head"`:                                       {Policies: []tail.Policy{{Name: "head", Probability: 1}}},
		"Probability is 1.5":                                   {Policies: []tail.Policy{{Probability: 1.5}}},
		"TracesPerSecond is -1":                                {Policies: []tail.Policy{{TracesPerSecond: -1}}},
		"SpansPerSecond is NaN":                                {Policies: []tail.Policy{{SpansPerSecond: nan()}}},
		"Policies[0].Root.SlowerThan is -1s":                   {Policies: []tail.Policy{{Root: tail.Condition{Error: true, SlowerThan: -time.Second}}}},
		"Config.MaxDecisions is 1073741825":                    {MaxDecisions: 1<<30 + 1},
		"Policies[0].Span.SlowerThanQuantile is 0.99991":       {Policies: []tail.Policy{{Span: tail.Condition{SlowerThanQuantile: 0.99991}}}},
		"Policies[0].Span.SlowerThanQuantile is 1":             {Policies: []tail.Policy{{Span: tail.Condition{SlowerThanQuantile: 1}}}},
	} {
		p, err := tail.NewProcessor(sdktrace.NewSimpleSpanProcessor(nil), cfg)
		if err == nil || !strings.Contains(err.Error(), want) || p != nil {
			t.Errorf("got error %v, want %q in it", err, want)
		}
	}
	if _, err := tail.NewProcessor(nil, tail.Config{}); err == nil {
		t.Error("no error without a next processor")
	}
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

// TestSlowerThanItsOwnP99 has operations of very different speed, whose
// durations are distributed exponentially above a minimum.
func TestSlowerThanItsOwnP99(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: 0.99}}}})
	rnd := rand.New(rand.NewPCG(1, 2))
	const rounds, warmUp = 40_000, 300
	typical := map[string]time.Duration{"fast": time.Millisecond, "slow": 10 * time.Second}
	took := func(op string) time.Duration {
		return time.Duration(float64(typical[op]) * (1 + rnd.ExpFloat64()))
	}
	now := time.Now()
	for i := range rounds {
		for op := range typical {
			_, span := s.Start(context.Background(), op, trace.WithTimestamp(now))
			span.End(trace.WithTimestamp(now.Add(took(op))))
		}
		if i == warmUp-1 && len(s.kept.Ended()) > 0 {
			t.Fatalf("kept %q before enough was known", s.names())
		}
	}
	counts := map[string]int{}
	for _, span := range s.kept.Ended() {
		counts[span.Name()]++
		// 1 in 100 exceeds 5.6 times the minimum; early estimates err by more
		// than a bucket.
		if took, limit := span.EndTime().Sub(span.StartTime()), time.Duration(4.5*float64(typical[span.Name()])); took < limit {
			t.Errorf("kept %s of %v, less than %v", span.Name(), took, limit)
		}
	}
	for op := range typical {
		if share := float64(counts[op]) / rounds; share < 0.008 || share > 0.0105 {
			t.Errorf("kept %.4f of %s, want 0.01 less at most a bucket", share, op)
		}
	}
}

func TestDurationsAreThoseOfTheKindAndOfRoots(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: 0.9}}}})
	now := time.Now()
	one := func(kind trace.SpanKind, took time.Duration) {
		ctx, root := s.Start(context.Background(), "op", trace.WithTimestamp(now), trace.WithSpanKind(kind))
		_, child := s.Start(ctx, "op", trace.WithTimestamp(now), trace.WithSpanKind(kind))
		child.End(trace.WithTimestamp(now.Add(time.Second)))
		root.End(trace.WithTimestamp(now.Add(took)))
	}
	for i := range 100 {
		one(trace.SpanKindConsumer, time.Second)
		took := time.Millisecond
		if i%5 == 0 {
			took *= 10 // which is the quantile
		}
		one(trace.SpanKindServer, took)
	}
	s.wantKept(t)
	one(trace.SpanKindServer, 20*time.Millisecond)
	s.wantKept(t, "op", "op")
}

func TestQuantilesOfRootsAndOfSpans(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{
		{Name: "root", Root: tail.Condition{SlowerThanQuantile: 0.9}},
		{Name: "span", Span: tail.Condition{SlowerThanQuantile: 0.5}},
	}})
	now := time.Now()
	one := func(root, child time.Duration) {
		ctx, r := s.Start(context.Background(), "root", trace.WithTimestamp(now))
		_, c := s.Start(ctx, "child", trace.WithTimestamp(now))
		c.End(trace.WithTimestamp(now.Add(child)))
		r.End(trace.WithTimestamp(now.Add(root)))
	}
	for i := range 1000 {
		one(time.Duration(1+i%100)*time.Millisecond, time.Second)
	}
	for _, tt := range []struct {
		root, child time.Duration
		keeps       string
	}{
		{70 * time.Millisecond, time.Second, "span"},
		{99 * time.Millisecond, time.Second, "root"},
		{time.Millisecond, 2 * time.Second, "span"},
	} {
		before := s.Stats().Kept[tt.keeps]
		one(tt.root, tt.child)
		if kept := s.Stats().Kept; kept[tt.keeps] != before+1 {
			t.Errorf("root of %v, child of %v: want one more kept by %q than %d: %v", tt.root, tt.child, tt.keeps, before, kept)
		}
	}
}

func TestOperationsAreBounded(t *testing.T) {
	s := start(t, dropAll, tail.Config{MaxOperations: 2, Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: 0.5}}}})
	for i := range 100 {
		for op := range 3 {
			_, span := s.Start(context.Background(), strconv.Itoa(op), lasting(time.Duration(i)*time.Millisecond))
			span.End()
		}
	}
	seen := map[string]bool{}
	for _, name := range s.names() {
		seen[name] = true
	}
	if st := s.Stats(); st.IgnoredDurations != 100 || !seen["0"] || !seen["1"] || seen["2"] {
		t.Errorf("ignored %d durations and kept slow ones of %v, want 100 and those of 0 and 1", st.IgnoredDurations, seen)
	}
}

// TestConstantDurationIsNeverSlow: what all spans take is not slow.
func TestConstantDurationIsNeverSlow(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: 0.9}}}})
	now := time.Now()
	end := func(took time.Duration) {
		_, span := s.Start(context.Background(), "op", trace.WithTimestamp(now))
		span.End(trace.WithTimestamp(now.Add(took)))
	}
	for range 40_000 { // and halving keeps that
		end(5 * time.Millisecond)
	}
	s.wantKept(t)
	end(6 * time.Millisecond)
	s.wantKept(t, "op")
}

// TestQuantileError compares with the exact quantile of all earlier durations.
func TestQuantileError(t *testing.T) {
	for _, q := range []float64{0.5, 0.9, 0.99} {
		s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: q}}}})
		rnd := rand.New(rand.NewPCG(6, 7))
		now := time.Now()
		var earlier []time.Duration // sorted
		for i := range 5000 {
			took := time.Duration(math.Exp(20 * rnd.Float64())) // 1 ns to 0.5 s
			_, span := s.Start(context.Background(), "op", trace.WithTimestamp(now))
			before := len(s.kept.Ended())
			span.End(trace.WithTimestamp(now.Add(took)))
			kept := len(s.kept.Ended()) > before
			if enough := int(math.Round(3 / (1 - q))); i < enough {
				if kept {
					t.Fatalf("quantile %v: kept a span after %d of %d", q, i, enough)
				}
			} else {
				exact := earlier[int(math.Ceil(q*float64(i)-1e-9))-1]
				if kept && took <= exact {
					t.Errorf("quantile %v, span %d: kept %v, which does not exceed %v", q, i, took, exact)
				}
				if limit := exact + exact/32 + 1024; !kept && took > limit {
					t.Errorf("quantile %v, span %d: dropped %v, which exceeds %v by more than 1/32", q, i, took, exact)
				}
			}
			at, _ := slices.BinarySearch(earlier, took)
			earlier = slices.Insert(earlier, at, took)
		}
	}
}

// TestSparseTailIsNotForgotten has 3 in 200 spans spread over so many buckets
// that halving their counts one by one would forget them.
func TestSparseTailIsNotForgotten(t *testing.T) {
	s := start(t, dropAll, tail.Config{Policies: []tail.Policy{{Root: tail.Condition{SlowerThanQuantile: 0.99}}}})
	rnd := rand.New(rand.NewPCG(8, 9))
	now := time.Now()
	const spans, warmUp = 150_000, 40_000
	before := 0
	for i := range spans {
		if i == warmUp {
			before = len(s.kept.Ended())
		}
		took := time.Millisecond
		if rnd.IntN(200) < 3 {
			took *= time.Duration(math.Exp(12 * rnd.Float64()))
		}
		_, span := s.Start(context.Background(), "op", trace.WithTimestamp(now))
		span.End(trace.WithTimestamp(now.Add(took)))
	}
	kept := len(s.kept.Ended()) - before
	if share := float64(kept) / (spans - warmUp); share > 0.011 {
		t.Errorf("kept %.4f, want 0.01", share)
	}
}
