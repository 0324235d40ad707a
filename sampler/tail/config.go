package tail

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"

	"github.com/clewtrace/clew/sampler"
)

// Config configures a [Processor]. The zero Config keeps traces with an error
// and those slower than the 99th percentile of their operation.
//
// Zero means the default of every bound; negative bounds are errors. A processor keeps
// a bound by deciding early on the oldest fragment. Fragments are divided among up to
// 16 shards by their trace ids. Each shard has its part of MaxTraces, MaxSpans and
// MaxBytes, and decides on its own oldest fragment. Spans that are being handed on are
// no longer counted.
type Config struct {
	// Policies are asked in order. The first one that matches keeps the fragment and
	// names the reason. A fragment that no policy matches is dropped. Nil means Error on
	// any span, then SlowerThanQuantile 0.99 on the root.
	Policies []Policy

	// MaxTraces bounds the fragments that wait for their decision. Default 10,000.
	MaxTraces int
	// MaxSpansPerTrace bounds the spans of one fragment. Default 1,000.
	MaxSpansPerTrace int
	// MaxSpans bounds the spans of all fragments. Default 100,000.
	MaxSpans int
	// MaxBytes bounds the estimated memory of all spans. The size of a local root that
	// has not ended is estimated when it starts and again after each eighth of the
	// Timeout. Default 64 MiB.
	MaxBytes int
	// Timeout is how long a fragment waits for its local roots to end; the wait may last
	// up to an eighth longer. Default 30 s.
	Timeout time.Duration
	// MaxDecisions is about how many decisions are remembered for late spans, at 8 bytes
	// each. Up to 8 the number is exact. Above that, 1 decision in 1,000 is already
	// forgotten after a quarter as many traces, and 1 in 20 after half as many. Default
	// 32,768.
	MaxDecisions int
	// MaxOperations bounds the operations whose durations each SlowerThanQuantile
	// learns, at about 2 KiB each. Operations beyond the first MaxOperations are never
	// slow. Default 1,000.
	MaxOperations int

	// MeterProvider takes the processor's metrics, whose names start with
	// clew.tail. Nil means the global one.
	MeterProvider metric.MeterProvider
}

// A Policy keeps the fragments that meet all of its conditions. A policy without any
// condition is an error; Probability: 1 keeps everything.
type Policy struct {
	// Name becomes the attribute clew.tail.policy of kept local roots, and
	// must be unique. Empty means the reason, such as "error" or "slow".
	Name string
	// Root must hold for one of the fragment's local roots.
	Root Condition
	// Span must hold for one of the fragment's spans, local roots included.
	Span Condition
	// Probability is the share of traces to keep, above 0 to 1. The choice is consistent
	// with every other consistent sampler. Zero keeps all.
	Probability float64
	// TracesPerSecond and SpansPerSecond bound what the policy keeps; the amount of one
	// second may come at once. Fragments beyond the bound go on to the next policy.
	// Spans are counted when the fragment is decided, so late spans are not. Zero is no
	// limit.
	TracesPerSecond float64
	SpansPerSecond  float64
}

// A Condition is a condition on one span: all fields that are set must hold for the
// same span. The zero Condition holds for all fragments, even for one without spans.
type Condition struct {
	// Match is a condition on name, kind, parent and attributes.
	Match sampler.Match
	// Status is a status code that the span must have. Zero, codes.Unset, is any.
	Status codes.Code
	// Error requires the status code Error or an exception event.
	Error bool
	// SlowerThan is a duration that the span must exceed. Zero is none.
	SlowerThan time.Duration
	// SlowerThanQuantile requires that the span is slower than this quantile of the
	// durations seen before of spans with the same name and kind. It is above 0 and at
	// most 0.9999. Zero is no condition.
	//
	// Durations are counted in buckets whose width is 1/32 of their value. The last
	// 32,768 spans count in full, older ones less and less. A span is slow if its bucket
	// lies above the bucket of the quantile, so at most 1 in 100 spans of a steady
	// stream is slower than the 0.99 quantile. No span is slow before 3/(1-q) durations
	// are known, which is 300 for 0.99. The limit of 0.9999 follows from that: it takes
	// 30,000 of the 32,768 that count.
	SlowerThanQuantile float64
}

func (c Config) withDefaults() Config {
	for _, b := range []struct {
		bound *int
		value int
	}{
		{&c.MaxTraces, 10_000},
		{&c.MaxSpansPerTrace, 1000},
		{&c.MaxSpans, 100_000},
		{&c.MaxBytes, 64 << 20},
		{&c.MaxDecisions, 1 << 15},
		{&c.MaxOperations, 1000},
	} {
		if *b.bound == 0 {
			*b.bound = b.value
		}
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Policies == nil {
		c.Policies = []Policy{{Span: Condition{Error: true}}, {Root: Condition{SlowerThanQuantile: 0.99}}}
	}
	return c
}

func (c Config) validate() error {
	for _, b := range []struct {
		name  string
		value int
	}{
		{"MaxTraces", c.MaxTraces},
		{"MaxSpansPerTrace", c.MaxSpansPerTrace},
		{"MaxSpans", c.MaxSpans},
		{"MaxBytes", c.MaxBytes},
		{"MaxDecisions", c.MaxDecisions},
		{"MaxOperations", c.MaxOperations},
	} {
		if b.value < 0 {
			return fmt.Errorf("tail: Config.%s is %d: want 1 or more, or 0 for the default", b.name, b.value)
		}
	}
	// The timeout is measured by a ticker that ticks eight times in it, and a ticker needs a
	// positive interval.
	if c.Timeout < 0 || c.Timeout > 0 && c.Timeout < time.Millisecond {
		return fmt.Errorf("tail: Config.Timeout is %v: want 1ms or more, or 0 for the default", c.Timeout)
	}
	if c.MaxDecisions > maxDecisions {
		return fmt.Errorf("tail: Config.MaxDecisions is %d: want %d at most", c.MaxDecisions, maxDecisions)
	}
	if n := len(c.Policies); n > maxPolicies {
		return fmt.Errorf("tail: Config.Policies has %d policies: want %d at most", n, maxPolicies)
	}
	names := make(map[string]int, len(c.Policies))
	for i, p := range c.Policies {
		if err := p.validate(fmt.Sprintf("tail: Config.Policies[%d]", i)); err != nil {
			return err
		}
		name := p.name()
		if j, ok := names[name]; ok {
			return fmt.Errorf("tail: Config.Policies[%d]: name %q is that of Policies[%d], too: set a different Name", i, name, j)
		}
		names[name] = i
	}
	return nil
}

func (p *Policy) validate(path string) error {
	switch {
	case !(p.Probability >= 0 && p.Probability <= 1):
		return fmt.Errorf("%s.Probability is %v: want above 0 to 1, or 0 for all", path, p.Probability)
	case !(p.TracesPerSecond >= 0):
		return fmt.Errorf("%s.TracesPerSecond is %v: want above 0, or 0 for no limit", path, p.TracesPerSecond)
	case !(p.SpansPerSecond >= 0):
		return fmt.Errorf("%s.SpansPerSecond is %v: want above 0, or 0 for no limit", path, p.SpansPerSecond)
	case p.Name == headPolicy:
		return fmt.Errorf("%s.Name is %q, which stands for the head sampler: want another", path, p.Name)
	case p.reason() == "":
		return fmt.Errorf("%s states nothing: use Probability: 1 to keep everything", path)
	}
	if err := p.Root.validate(path + ".Root"); err != nil {
		return err
	}
	return p.Span.validate(path + ".Span")
}

func (c *Condition) validate(path string) error {
	switch {
	case !(c.SlowerThanQuantile >= 0 && c.SlowerThanQuantile <= maxQuantile):
		return fmt.Errorf("%s.SlowerThanQuantile is %v: want above 0 to %v, or 0 for none", path, c.SlowerThanQuantile, maxQuantile)
	case c.SlowerThan < 0:
		return fmt.Errorf("%s.SlowerThan is %v: want above 0, or 0 for none", path, c.SlowerThan)
	}
	return nil
}

func (p *Policy) name() string {
	if p.Name != "" {
		return p.Name
	}
	return p.reason()
}

// reason names what the policy asks for, in a fixed order: "error", or "match+slow".
func (p *Policy) reason() string {
	var parts []string
	add := func(name string, stated bool) {
		if stated {
			parts = append(parts, name)
		}
	}
	add("error", p.Root.Error || p.Span.Error)
	add("status", p.Root.Status != codes.Unset || p.Span.Status != codes.Unset)
	add("match", !matchesAll(p.Root.Match) || !matchesAll(p.Span.Match))
	add("slow", p.Root.slow() || p.Span.slow())
	add("probability", p.Probability > 0)
	add("rate", p.TracesPerSecond > 0 || p.SpansPerSecond > 0)
	return strings.Join(parts, "+")
}

func (c *Condition) slow() bool { return c.SlowerThan > 0 || c.SlowerThanQuantile > 0 }

func (c *Condition) isZero() bool {
	return matchesAll(c.Match) && c.Status == codes.Unset && !c.Error && !c.slow()
}

func matchesAll(m sampler.Match) bool {
	return m.Name == "" && m.Kind == 0 && m.Parent == 0 && len(m.Attributes) == 0
}
