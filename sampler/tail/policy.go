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
	sc    *trace.SpanContext // of a fragment with a single span; nil otherwise
	spans []endedSpan
	open  []endedSpan // local roots that have not ended
}

// An endedSpan is a span, or a local root that has not ended, with the values that
// policies need. They are kept here because each getter of the SDK copies the value
// that it returns.
type endedSpan struct {
	sdktrace.ReadOnlySpan
	root    bool // a local root
	sampled bool // kept by the head sampler

	// These are zero unless a policy needs them.
	failed    bool
	took      time.Duration
	durations *histogram // of the operation, by the first learner; nil if it is not known
}

// A decision about a fragment. The zero value is not a valid decision.
type decision struct {
	keep bool
	// policy is the index of the policy that keeps the fragment, or none if keep is
	// false.
	policy int16
	// threshold is the index of the policy whose Probability was the only reason to keep
	// the trace, so that its threshold is the right th. Otherwise it is none.
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

// inspect reads from a span the values that the policies need.
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
// A threshold is the right th only if the randomness of the trace alone decided. If a
// later policy would have kept the trace whatever its randomness, the trace was certain
// to be kept and gets no th. If a later policy with a larger share would have kept it,
// that share was its probability and becomes its th.
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

// certain reports whether one span is enough for a policy to keep its trace for
// certain.
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

// certain reports whether the policy keeps every fragment that meets its conditions.
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

// spanContext returns the span context of one span of the fragment. All of them have
// the same trace id and rv.
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

// A limit is a pair of token buckets that hold the amount of one second. A large
// fragment may take more tokens than there are. Nothing is kept then until the missing
// tokens have come in.
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
