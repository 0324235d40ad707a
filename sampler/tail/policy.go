package tail

import (
	"sync"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

// A fragment of a trace, as policies see it.
type view struct {
	sc    *trace.SpanContext // that of a lone span, which is at hand; or nil
	spans []endedSpan
	open  []endedSpan // local roots that have not ended
}

// An endedSpan is a span, or an open local root, with what policies ask for.
// The SDK's methods copy the whole span for each answer.
type endedSpan struct {
	sdktrace.ReadOnlySpan
	root    bool // a local root
	sampled bool // kept by the head sampler

	// Zero unless a policy needs it.
	failed    bool
	took      time.Duration
	durations *histogram // the first learner's, if the operation is known
}

// A decision about a fragment; the zero decision is not one.
type decision struct {
	keep bool
	// policy is the index of the policy that keeps it, none if keep is false.
	policy int16
	// threshold is the index of the policy whose probability alone the trace
	// was kept by, so that its threshold is the right th; none otherwise.
	threshold int16
}

const none = -1

type policies struct {
	list             []policy
	rootNeeds, needs needs // of local roots, of other spans
	limited          bool  // a policy has a rate
	learners         []learner
}

// A learner learns from local roots only, or from every span.
type learner struct {
	*quantile
	rootsOnly bool
}

// needs are the fields of endedSpan that conditions look at.
type needs uint8

const (
	needFailed needs = 1 << iota
	needTook
	needDurations
)

type policy struct {
	name, reason string
	root, span   condition
	consistent   *consistent // nil without Probability
	limit        *limit      // nil without a rate
}

func compile(cfg *Config) policies {
	ps := policies{list: make([]policy, len(cfg.Policies))}
	for i := range cfg.Policies {
		c, p := &cfg.Policies[i], &ps.list[i]
		*p = policy{
			name:   c.name(),
			reason: c.reason(),
			root:   c.Root.compile(cfg.MaxOperations),
			span:   c.Span.compile(cfg.MaxOperations),
		}
		if c.Probability > 0 {
			p.consistent = newConsistent(c.Probability)
		}
		if c.TracesPerSecond > 0 || c.SpansPerSecond > 0 {
			p.limit = newLimit(c.TracesPerSecond, c.SpansPerSecond)
			ps.limited = true
		}
		for _, l := range []learner{{p.root.quantile, true}, {p.span.quantile, false}} {
			if l.quantile != nil {
				l.first = len(ps.learners) == 0
				ps.learners = append(ps.learners, l)
			}
		}
		ps.needs |= p.span.needs()
		ps.rootNeeds |= p.root.needs() | p.span.needs()
	}
	return ps
}

// inspect asks a span for what the policies need.
func (ps *policies) inspect(s *endedSpan) {
	needs := ps.needs
	if s.root {
		needs = ps.rootNeeds
	}
	if needs&needFailed != 0 {
		s.failed = failed(s.ReadOnlySpan)
	}
	if needs&needTook != 0 {
		s.took = duration(s.ReadOnlySpan)
	}
	if needs&needDurations != 0 {
		s.durations = ps.learners[0].find(s)
	}
}

// decide asks the policies about a fragment.
//
// Only where the trace's randomness alone decided is a threshold the right th.
// If a later policy would have kept the trace whatever its randomness, its
// chance was 1, and if one with a larger share would have kept it, its chance
// was that share.
func (ps *policies) decide(v *view) decision {
	d := decision{policy: none, threshold: none}
	headKept := v.headKept()
	for i := range v.open {
		ps.inspect(&v.open[i])
	}
	for i := range ps.list {
		p := &ps.list[i]
		if !p.holds(v) {
			continue
		}
		switch byChance := p.consistent != nil && p.limit == nil; {
		case byChance && (d.threshold == none || ps.list[d.threshold].consistent.share() < p.consistent.share()):
			if !p.consistent.keeps(v.spanContext()) {
				continue
			}
			d.threshold = int16(i)
		case byChance:
			continue
		case d.keep || headKept:
			d.threshold = none
			return d
		case p.consistent != nil && !p.consistent.keeps(v.spanContext()):
			continue
		case p.limit != nil && !p.limit.allow(len(v.spans)):
			continue
		default:
			return decision{keep: true, policy: int16(i), threshold: none}
		}
		if !d.keep && !headKept {
			d.keep, d.policy = true, int16(i)
		}
	}
	return d
}

// certain reports whether one span is reason enough to keep its trace.
func (ps *policies) certain(s *endedSpan) bool {
	for i := range ps.list {
		p := &ps.list[i]
		if !p.certain() || p.root.stated && !s.root {
			continue
		}
		if p.root.holds(s) && p.span.holds(s) {
			return true
		}
	}
	return false
}

// certain reports whether the policy keeps all that it holds for.
func (p *policy) certain() bool { return p.consistent == nil && p.limit == nil }

// learn adds the durations of a fragment to what is known about its operations.
func (ps *policies) learn(v *view) {
	for _, l := range ps.learners {
		for i := range v.spans {
			if s := &v.spans[i]; s.root || !l.rootsOnly {
				l.observe(s)
			}
		}
	}
}

func (ps *policies) ignoredOperations() (n uint64) {
	for _, l := range ps.learners {
		n += l.ignored.Load()
	}
	return n
}

func (p *policy) holds(v *view) bool {
	return (!p.root.stated || v.has(&p.root, true)) && (!p.span.stated || v.has(&p.span, false))
}

func (v *view) has(c *condition, onlyRoots bool) bool {
	for i := range v.spans {
		if s := &v.spans[i]; (!onlyRoots || s.root) && c.holds(s) {
			return true
		}
	}
	for i := range v.open {
		if c.holds(&v.open[i]) {
			return true
		}
	}
	return false
}

// headKept reports whether the head sampler kept the whole fragment.
func (v *view) headKept() bool {
	for i := range v.spans {
		if !v.spans[i].sampled {
			return false
		}
	}
	for i := range v.open {
		if !v.open[i].sampled {
			return false
		}
	}
	return true
}

// spanContext returns one of the fragment's; they agree on trace id and rv.
func (v *view) spanContext() trace.SpanContext {
	if v.sc != nil {
		return *v.sc
	}
	if len(v.spans) > 0 {
		return v.spans[0].SpanContext()
	}
	return v.open[0].SpanContext()
}

type condition struct {
	stated   bool
	matcher  *sampler.Matcher // nil matches all
	status   codes.Code
	failed   bool
	slower   time.Duration
	quantile *quantile
}

func (c *Condition) compile(maxOperations int) condition {
	compiled := condition{stated: !c.isZero(), status: c.Status, failed: c.Error, slower: c.SlowerThan}
	if !matchesAll(c.Match) {
		m := c.Match.Compile()
		compiled.matcher = &m
	}
	if c.SlowerThanQuantile > 0 {
		compiled.quantile = newQuantile(c.SlowerThanQuantile, maxOperations)
	}
	return compiled
}

func (c *condition) needs() (n needs) {
	if c.failed {
		n |= needFailed
	}
	if c.slower > 0 {
		n |= needTook
	}
	if c.quantile != nil {
		n |= needTook | needDurations
	}
	return n
}

func (c *condition) holds(s *endedSpan) bool {
	return (!c.failed || s.failed) &&
		(c.status == codes.Unset || s.Status().Code == c.status) &&
		(c.slower == 0 || s.took > c.slower) &&
		(c.matcher == nil || c.matcher.Matches(s.Name(), s.SpanKind(), sampler.ParentOf(s.Parent()), s.Attributes())) &&
		(c.quantile == nil || c.quantile.exceededBy(s))
}

func failed(s sdktrace.ReadOnlySpan) bool {
	if s.Status().Code == codes.Error {
		return true
	}
	for _, e := range s.Events() {
		if e.Name == semconv.ExceptionEventName {
			return true
		}
	}
	return false
}

// duration returns how long the span took, or has taken so far.
func duration(s sdktrace.ReadOnlySpan) time.Duration {
	if end := s.EndTime(); !end.IsZero() {
		return end.Sub(s.StartTime())
	}
	return time.Since(s.StartTime())
}

func isLocalRoot(s sdktrace.ReadOnlySpan) bool {
	parent := s.Parent()
	return !parent.IsValid() || parent.IsRemote()
}

// A limit is a pair of token buckets that hold at most one second's worth.
// What a large fragment takes beyond its tokens has to be made up for first.
type limit struct {
	traces, spans float64 // per second, 0 is unlimited

	mu          sync.Mutex
	last        time.Time
	traceTokens float64
	spanTokens  float64
}

func newLimit(traces, spans float64) *limit {
	return &limit{traces: traces, spans: spans, last: time.Now(), traceTokens: max(1, traces), spanTokens: max(1, spans)}
}

func (l *limit) allow(spans int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	elapsed := now.Sub(l.last).Seconds()
	l.last = now
	l.traceTokens = min(max(1, l.traces), l.traceTokens+elapsed*l.traces)
	l.spanTokens = min(max(1, l.spans), l.spanTokens+elapsed*l.spans)
	if l.traces > 0 && l.traceTokens < 1 || l.spans > 0 && l.spanTokens <= 0 {
		return false
	}
	l.traceTokens--
	l.spanTokens -= float64(spans)
	return true
}
