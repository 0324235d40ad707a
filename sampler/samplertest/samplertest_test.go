package samplertest_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/samplertest"
)

func TestOurOwnConform(t *testing.T) {
	adaptive, err := sampler.NewAdaptive(sampler.AdaptiveConfig{TracesPerSecond: 10, MeterProvider: noop.NewMeterProvider()})
	if err != nil {
		t.Fatal(err)
	}
	note := attribute.String("k", "v")
	for _, c := range []sampler.Composable{
		sampler.AlwaysOn(), sampler.AlwaysOff(), sampler.Probability(0.1), sampler.ParentThreshold(sampler.Probability(0.5)),
		sampler.Rules(), sampler.Rules(sampler.Rule{Match: sampler.Match{Name: "GET*"}, Sampler: sampler.AlwaysOn()}),
		sampler.Annotate(sampler.Annotate(sampler.AlwaysOff(), note), note), sampler.AnyOf(),
		sampler.AnyOf(sampler.Annotate(sampler.Probability(0.5), note), sampler.Annotate(sampler.AlwaysOn(), note)),
		sampler.RateLimit(5), sampler.RateLimit(0), adaptive,
	} {
		t.Run(c.Description(), func(t *testing.T) { samplertest.Run(t, c) })
	}
}

// A policy breaks one rule.
type policy struct {
	intent      func(sampler.Parameters) sampler.Intent
	description string
}

func (p policy) SamplingIntent(q sampler.Parameters) sampler.Intent { return p.intent(q) }
func (p policy) Description() string                                { return p.description }

func TestCheckFindsBrokenRules(t *testing.T) {
	ok := func(sampler.Parameters) sampler.Intent { return sampler.Intent{} }
	shared := []attribute.KeyValue{attribute.Int("calls", 0)}
	calls := 0
	for _, c := range []struct {
		policy policy
		want   string
	}{
		{policy{ok, ""}, "Description is empty"},
		{policy{func(p sampler.Parameters) sampler.Intent { return sampler.Intent{Attributes: []attribute.KeyValue{p.Attributes[0]}} }, "panics"}, "panics"},
		{policy{func(sampler.Parameters) sampler.Intent { return sampler.Intent{Reliable: true} }, "none"}, "said to be reliable"},
		{policy{func(sampler.Parameters) sampler.Intent {
			return sampler.Intent{TraceState: func(ts trace.TraceState) trace.TraceState { return ts.Delete("ot") }}
		}, "ot"}, "changed ot"},
		{policy{func(p sampler.Parameters) sampler.Intent {
			return sampler.Intent{Threshold: sampler.ThresholdFor(float64(p.TraceID[9]) / 300), Reliable: true}
		}, "peeks"}, "depends on the trace id"},
		{policy{func(sampler.Parameters) sampler.Intent {
			calls++
			shared[0] = attribute.Int("calls", calls)
			return sampler.Intent{Attributes: shared}
		}, "shared"}, "Attributes changed"},
	} {
		if c.want == "Attributes changed" && raceEnabled {
			continue // the race detector would find it first
		}
		err := samplertest.Check(c.policy)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("policy %q: got %v, want an error with %q", c.policy.description, err, c.want)
		}
	}
}
