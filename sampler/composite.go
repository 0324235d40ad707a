package sampler

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// New returns the CompositeSampler of the OpenTelemetry specification: it
// asks root for its intent, decides by the randomness of the trace and keeps
// the ot member of tracestate right. The result is safe for concurrent use.
func New(root Composable, opts ...Option) sdktrace.Sampler {
	var cfg config
	for _, opt := range opts {
		opt.apply(&cfg)
	}
	c := &composite{root: root, description: root}
	// Most spans have a parent, and most samplers follow it. To follow it here saves
	// copying Parameters from policy to policy.
	if follow, ok := root.(parentThreshold); ok {
		c.root, c.follow = follow.root, true
	}
	c.countDecisions(cfg.meterProvider)
	return c
}

type composite struct {
	root        Composable
	follow      bool // root decides about spans without a parent only
	description Composable
	overflow    sync.Once
	decisions   *decisions
	states      [64]atomic.Pointer[publishedState]
}

// A publishedState is a tracestate that has nothing but ot=th:threshold.
type publishedState struct {
	threshold Threshold
	state     trace.TraceState
}

func (c *composite) ShouldSample(sp sdktrace.SamplingParameters) sdktrace.SamplingResult {
	psc := trace.SpanContextFromContext(sp.ParentContext)
	state := psc.TraceState()
	var value string
	var ot otValue
	if state.Len() > 0 {
		value = state.Get(otKey)
		ot = parseOT(value)
	}
	randomness, parent := inspect(sp.TraceID, &psc, ot)
	sh := shardPool.Get().(*shard)

	var intent Intent
	if c.follow && parent.kind != NoParent {
		intent.Threshold, intent.Reliable = parent.follow(randomness)
	} else {
		intent = c.root.SamplingIntent(Parameters{sp, parent, randomness, sh.index})
	}

	var publish Threshold
	if !intent.Reliable {
		// The randomness of the trace must not decide by a threshold that is not
		// reliable: the spans that it keeps would look as if they were a known share of
		// the traffic.
		randomness = rand.Uint64() >> 8
	}
	kept := intent.Threshold.Keeps(randomness)
	if kept && intent.Reliable {
		publish = intent.Threshold
	}

	if intent.TraceState != nil {
		state = restoreOT(intent.TraceState(state), value)
	}
	if publish != ot.threshold || ot.hasTh && publish.IsNone() {
		state = c.publish(state, value, publish)
	}
	c.decisions.count(sh.index, kept)
	shardPool.Put(sh)
	if !kept {
		return sdktrace.SamplingResult{Decision: sdktrace.Drop, Tracestate: state}
	}
	return sdktrace.SamplingResult{
		Decision:   sdktrace.RecordAndSample,
		Attributes: intent.Attributes,
		Tracestate: state,
	}
}

func (c *composite) Description() string {
	return "CompositeSampler{" + c.description.Description() + "}"
}

// publish returns state with t as the th of its ot member, whose value is
// given.
func (c *composite) publish(state trace.TraceState, value string, t Threshold) trace.TraceState {
	if state.Len() == 0 {
		return c.stateFor(t)
	}
	value, ok := writeThreshold(value, t)
	if !ok {
		c.overflow.Do(func() { otel.Handle(errNoRoom) })
	}
	if value == "" {
		if state.Len() == 1 {
			return trace.TraceState{}
		}
		return state.Delete(otKey)
	}
	return insertOT(state, value)
}

var errNoRoom = errors.New("sampler: no room for th in the ot member of tracestate (at most 256 characters): " +
	"some spans are kept without an adjusted count")

// stateFor returns the tracestate ot=th:t. Policies publish few different thresholds at
// a time, so the last ones are cached.
func (c *composite) stateFor(t Threshold) trace.TraceState {
	slot := &c.states[t.kept*0x9e3779b97f4a7c15>>58]
	if s := slot.Load(); s != nil && s.threshold == t {
		return s.state
	}
	value, _ := writeThreshold("", t)
	s := &publishedState{t, insertOT(trace.TraceState{}, value)}
	slot.Store(s)
	return s.state
}

// restoreOT puts the ot member back to value if a composable changed it.
func restoreOT(state trace.TraceState, value string) trace.TraceState {
	switch {
	case state.Get(otKey) == value:
		return state
	case value == "":
		return state.Delete(otKey)
	default:
		return insertOT(state, value)
	}
}

// insertOT sets the ot member. The value was made here or belongs to a valid
// tracestate, so it cannot be refused.
func insertOT(state trace.TraceState, value string) trace.TraceState {
	state, err := state.Insert(otKey, value)
	if err != nil {
		otel.Handle(err)
	}
	return state
}
