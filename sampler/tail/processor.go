package tail

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Processor is a span processor that holds spans back until their fragment
// of a trace is decided on and then hands on what is kept; see the package
// documentation. It is safe for concurrent use.
//
// OnStart of the next processor is called for every recorded span, and OnEnd for those
// that are kept. The spans of one fragment are handed on in the order in which they
// ended, by the goroutine that ended the last local root. Late spans are handed on by
// the goroutines that end them.
type Processor struct {
	next     sdktrace.SpanProcessor
	policies policies
	shards   []shard
	seed     maphash.Seed

	// clock counts eighths of the timeout. It is cheaper to read than the time.
	clock       atomic.Uint32
	propagating atomic.Bool
	reported    [numBounds]sync.Once
	cfg         Config

	stop     func(context.Context) error
	metrics  metric.Registration
	shutdown sync.Once
}

// ticksPerTimeout is the number of clock ticks in a timeout.
const ticksPerTimeout = 8

// NewProcessor returns a Processor that hands kept spans on to next. If cfg is not
// valid, the error names the field to change. Shutdown ends the goroutine that
// NewProcessor starts.
func NewProcessor(next sdktrace.SpanProcessor, cfg Config) (*Processor, error) {
	if next == nil {
		return nil, errors.New("tail: the next span processor is nil")
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	p := &Processor{next: next, cfg: cfg, policies: compile(&cfg), seed: maphash.MakeSeed()}
	p.shards = newShards(&cfg)
	if err := p.observe(cfg.MeterProvider); err != nil {
		return nil, fmt.Errorf("tail: metrics: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	p.stop = func(ctx context.Context) error {
		cancel()
		return within(ctx, done)
	}
	go func() {
		defer close(done)
		p.expire(ctx)
	}()
	return p, nil
}

// newShards makes as many shards as possible, up to 16, while each shard still gets a
// useful part of the bounds.
func newShards(cfg *Config) []shard {
	n := min(16, cfg.MaxTraces/64, cfg.MaxSpans/(2*cfg.MaxSpansPerTrace), cfg.MaxBytes>>20, cfg.MaxDecisions/64)
	n = 1 << (bits.Len(uint(max(1, n))) - 1) // a power of two
	b := &bounds{
		traces: cfg.MaxTraces / n, spansPerTrace: cfg.MaxSpansPerTrace, spans: cfg.MaxSpans / n,
		bytes: cfg.MaxBytes / n, decisions: cfg.MaxDecisions / n,
	}
	shards := make([]shard, n)
	for i := range shards {
		shards[i].bounds = b
		shards[i].fragments = newTable()
		shards[i].decisions = newDecisions(b.decisions)
		shards[i].counts.kept = make([]uint64, len(cfg.Policies)+1)
	}
	return shards
}

// shard returns the shard of a trace, and a hash of its id. The hash is seeded, so a
// peer that chooses trace ids cannot choose which of them share a shard.
func (p *Processor) shard(id trace.TraceID) (*shard, uint64) {
	hash := maphash.Bytes(p.seed, id[:])
	return &p.shards[hash&uint64(len(p.shards)-1)], hash
}

// OnStart notes local roots. It implements the SDK's SpanProcessor.
func (p *Processor) OnStart(parent context.Context, s sdktrace.ReadWriteSpan) {
	p.next.OnStart(parent, s)
	sc := s.SpanContext()
	// This has the result of s.Parent without its lock. A new root has another trace id
	// than the span in its context.
	psc := trace.SpanContextFromContext(parent)
	first := !psc.IsValid() || psc.TraceID() != sc.TraceID()
	if !first && !psc.IsRemote() {
		return
	}
	bytes := estimate(s)
	sh, hash := p.shard(sc.TraceID())
	sh.mu.Lock()
	if sh.closed {
		sh.mu.Unlock()
		return
	}
	sh.begin(hash, openRoot{sc.SpanID(), first, sc.IsSampled(), s, bytes}, p.clock.Load())
	p.unlockAndDecide(sh)
}

// OnEnd takes an ended span. It implements the SDK's SpanProcessor.
func (p *Processor) OnEnd(span sdktrace.ReadOnlySpan) {
	sc := span.SpanContext()
	ended := []endedSpan{{ReadOnlySpan: span, root: isLocalRoot(span), sampled: sc.IsSampled()}}
	s := &ended[0]
	p.policies.inspect(s)
	sh, hash := p.shard(sc.TraceID())
	if s.root && !s.sampled && span.ChildSpanCount() == 0 && p.dropAlone(sh, hash, view{sc: &sc, spans: ended}) {
		return
	}
	bytes := estimate(span)
	wanted := p.propagating.Load() && p.policies.certain(s)
	sh.mu.Lock()
	if sh.closed {
		sh.counts.refused++
		sh.mu.Unlock()
		return
	}
	f := sh.fragments.get(hash)
	if f == nil {
		d, known := sh.decisions.get(hash)
		if known {
			sh.counts.late++
			sh.counts.spans(d, 1, s.sampled)
		} else {
			sh.counts.forgotten++
		}
		sh.mu.Unlock()
		if known {
			p.pass(*s, d)
		} else {
			p.decideAlone(sh, view{sc: &sc, spans: ended})
		}
		return
	}
	sh.hold(f, *s, bytes)
	f.wanted = f.wanted || wanted
	last := sh.end(f, sc.SpanID()) // whatever s.root is: OnStart may have been called with another context
	switch {
	case f.deciding:
	case last:
		j := sh.take(f)
		sh.mu.Unlock()
		p.decide(sh, j)
		return
	case len(f.spans) >= sh.bounds.spansPerTrace:
		sh.counts.early[maxSpansPerTrace]++
		j := sh.take(f)
		sh.mu.Unlock()
		p.report(maxSpansPerTrace)
		p.decide(sh, j)
		return
	}
	p.unlockAndDecide(sh)
}

// dropAlone drops a local root that is the only span of its fragment, if the policies
// do not keep it. A root without children is most likely alone. The policies are
// therefore asked before that is certain, so that the lock is taken only once.
func (p *Processor) dropAlone(sh *shard, hash uint64, v view) bool {
	if p.policies.limited { // asking a policy with a rate uses up tokens
		return false
	}
	d := p.policies.decide(&v)
	if d.keep {
		return false
	}
	sh.mu.Lock()
	f := sh.fragments.get(hash)
	alone := f != nil && f.isAlone(v.sc.SpanID()) && !sh.closed
	if alone {
		sh.drop(f, d)
	}
	sh.mu.Unlock()
	if alone {
		p.policies.learn(&v)
	}
	return alone
}

// unlockAndDecide unlocks the shard. If what was added exceeds a bound, it first
// decides on the oldest fragments.
func (p *Processor) unlockAndDecide(sh *shard) {
	for over, ok := sh.overBound(); ok; over, ok = sh.overBound() {
		sh.counts.early[over]++
		j := sh.take(sh.undecided.first)
		sh.mu.Unlock()
		p.report(over)
		p.decide(sh, j)
		sh.mu.Lock()
	}
	sh.mu.Unlock()
}

// decide decides on a fragment and hands its spans on. If local roots started and ended
// meanwhile, it decides on their fragment as well.
func (p *Processor) decide(sh *shard, j job) {
	for again := true; again; {
		j, again = p.decideOnce(sh, j)
	}
}

func (p *Processor) decideOnce(sh *shard, j job) (next job, again bool) {
	d := p.policies.decide(&j.view)
	p.policies.learn(&j.view)
	headKept, sampled := j.view.headKept(), 0
	for i := range j.view.spans {
		if j.view.spans[i].sampled {
			sampled++
		}
	}
	sh.mu.Lock()
	late, next, again := sh.settle(j.fragment, d, p.clock.Load())
	sh.counts.trace(d, headKept)
	sh.counts.spans(d, len(j.view.spans)-sampled, false)
	sh.counts.spans(d, sampled, true)
	if !d.keep && sampled == 0 && len(late) == 0 {
		sh.finish(&j)
		sh.mu.Unlock()
		return next, again
	}
	sh.counts.late += uint64(len(late))
	for _, s := range late {
		sh.counts.spans(d, 1, s.sampled)
	}
	sh.mu.Unlock()

	defer func() { // deferred, so that it also runs if next panics
		sh.mu.Lock()
		defer sh.mu.Unlock()
		sh.finish(&j)
	}()
	for _, s := range j.view.spans {
		p.pass(s, d)
	}
	for _, s := range late {
		p.pass(s, d)
	}
	return next, again
}

// decideAlone decides on a span whose trace is not known as if it were a fragment.
func (p *Processor) decideAlone(sh *shard, v view) {
	d := p.policies.decide(&v)
	sh.mu.Lock()
	sh.counts.trace(d, v.headKept())
	sh.counts.spans(d, 1, v.headKept())
	sh.mu.Unlock()
	p.pass(v.spans[0], d)
}

// expire decides on fragments that are too old, and on the oldest ones of a shard that
// has become too large, until ctx ends.
func (p *Processor) expire(ctx context.Context) {
	tick := time.NewTicker(p.cfg.Timeout / ticksPerTimeout)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.clock.Add(1)
		for i := range p.shards {
			sh := &p.shards[i]
			sh.mu.Lock()
			for f := sh.undecided.first; f != nil && now-f.started > ticksPerTimeout; f = sh.undecided.first {
				sh.counts.early[timeout]++
				j := sh.take(f)
				sh.mu.Unlock()
				p.decide(sh, j)
				sh.mu.Lock()
			}
			sh.measure()
			p.unlockAndDecide(sh)
		}
	}
}

// ForceFlush decides on every fragment with the spans that have ended, hands on what is
// kept and calls ForceFlush of the next processor. If ctx ends first, it returns the
// error of ctx, and the fragments that are not decided stay.
func (p *Processor) ForceFlush(ctx context.Context) error {
	return errors.Join(p.flush(ctx), p.next.ForceFlush(ctx))
}

// Shutdown is ForceFlush followed by Shutdown of the next processor. Spans that
// end later are refused and counted. All calls but the first do nothing.
func (p *Processor) Shutdown(ctx context.Context) (err error) {
	p.shutdown.Do(func() {
		for i := range p.shards {
			sh := &p.shards[i]
			sh.mu.Lock()
			sh.closed = true
			sh.mu.Unlock()
		}
		err = errors.Join(p.flush(ctx), p.stop(ctx), p.metrics.Unregister(), p.next.Shutdown(ctx))
	})
	return err
}

// flush decides on all fragments and waits until other goroutines have handed on
// theirs. It runs in a goroutine of its own, so that it can return when ctx ends even
// if the next processor blocks.
func (p *Processor) flush(ctx context.Context) error {
	done := make(chan struct{})
	var flushed error
	go func() {
		defer close(done)
		// The second pass is for fragments that were left while other goroutines decided.
		if flushed = p.flushOnce(ctx); flushed == nil {
			flushed = p.flushOnce(ctx)
		}
	}()
	if err := within(ctx, done); err != nil {
		return fmt.Errorf("tail: fragments are still being decided and handed on: %w", err)
	}
	return flushed
}

// within waits for done, or returns the error of ctx if that ends first.
func within(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-done:
		return nil
	default:
		return ctx.Err()
	}
}

func (p *Processor) flushOnce(ctx context.Context) error {
	var busy []<-chan struct{}
	var missed int
	for i := range p.shards {
		sh := &p.shards[i]
		sh.mu.Lock()
		for f := sh.deciding.first; f != nil; f = f.next {
			if f.idle == nil {
				f.idle = make(chan struct{})
			}
			busy = append(busy, f.idle)
		}
		// New fragments are not decided on, because they may arrive as fast as this loop runs.
		for n := sh.undecided.len; n > 0 && sh.undecided.len > 0; n-- {
			if ctx.Err() != nil {
				missed += sh.undecided.len
				break
			}
			j := sh.take(sh.undecided.first)
			sh.mu.Unlock()
			p.decide(sh, j)
			sh.mu.Lock()
		}
		sh.mu.Unlock()
	}
	for _, idle := range busy {
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("tail: fragments are still being handed on: %w", ctx.Err())
		}
	}
	if missed > 0 {
		return fmt.Errorf("tail: %d fragments not decided: %w", missed, ctx.Err())
	}
	return nil
}

// report reports the first time that a bound is exceeded.
func (p *Processor) report(b bound) {
	p.reported[b].Do(func() {
		otel.Handle(fmt.Errorf("tail: %s: deciding early on the oldest trace, with the spans that have ended; "+
			"further ones are counted as clew.tail.early", p.cfg.exceeded(b)))
	})
}

// Attributes of kept local roots.
const (
	PolicyKey = attribute.Key("clew.tail.policy") // the name of the policy that kept the trace
	ReasonKey = attribute.Key("clew.tail.reason") // the conditions of that policy, such as error or match+slow
)

// pass hands on a span if the decision or the head sampler keeps it.
func (p *Processor) pass(ended endedSpan, d decision) {
	s := ended.ReadOnlySpan
	sc := s.SpanContext()
	if ended.sampled {
		if d.threshold != none {
			if published := p.policies.list[d.threshold].consistent.publish(sc); !published.Equal(sc) {
				s = &keptSpan{ReadOnlySpan: s, sc: published}
			}
		}
		p.next.OnEnd(s)
		return
	}
	if !d.keep {
		return
	}
	kept := &keptSpan{ReadOnlySpan: s}
	if d.threshold == none {
		kept.sc = withoutThreshold(sc)
	} else {
		kept.sc = p.policies.list[d.threshold].consistent.publish(sc)
	}
	kept.sc = kept.sc.WithTraceFlags(sc.TraceFlags() | trace.FlagsSampled)
	if ended.root {
		policy := &p.policies.list[d.policy]
		kept.added = [2]attribute.KeyValue{PolicyKey.String(policy.name), ReasonKey.String(policy.reason)}
	}
	p.next.OnEnd(kept)
}

// keptSpan is a span whose span context and attributes show the decision about it.
type keptSpan struct {
	sdktrace.ReadOnlySpan
	sc    trace.SpanContext
	added [2]attribute.KeyValue // zero if there are none
}

func (s *keptSpan) SpanContext() trace.SpanContext { return s.sc }

func (s *keptSpan) Attributes() []attribute.KeyValue {
	attrs := s.ReadOnlySpan.Attributes()
	if s.added[0].Key == "" {
		return attrs
	}
	// Clip makes append copy the slice, because others may share its spare capacity.
	return append(slices.Clip(attrs), s.added[:]...)
}

// estimate returns about how many bytes of memory a span holds.
func estimate(s sdktrace.ReadOnlySpan) int {
	const span, event, link = 512, 96, 128
	n := span + len(s.Name()) + attributesSize(s.Attributes())
	for _, e := range s.Events() {
		n += event + attributesSize(e.Attributes)
	}
	for _, l := range s.Links() {
		n += link + attributesSize(l.Attributes)
	}
	return n
}

func attributesSize(attrs []attribute.KeyValue) int {
	const attr = 64
	n := attr * len(attrs)
	for i := range attrs {
		switch v := &attrs[i].Value; v.Type() {
		case attribute.BOOL, attribute.INT64, attribute.FLOAT64, attribute.EMPTY:
		case attribute.STRING:
			n += len(v.AsString())
		default:
			n += len(v.String()) // these types are rare, so the cost of String does not matter
		}
	}
	return n
}
