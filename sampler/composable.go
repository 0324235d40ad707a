package sampler

import (
	"encoding/binary"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Composable is a sampling policy that states its intent and leaves the
// decision to the sampler returned by [New], so that policies can be combined
// and stay consistent along a trace. It is the ComposableSampler of the
// OpenTelemetry specification.
//
// Implementations must keep these rules; package samplertest checks them.
//
//   - SamplingIntent is safe for concurrent use, returns quickly and does not
//     keep p or anything reachable from it.
//   - The threshold must not depend on the trace id or on the parent's rv:
//     a threshold chosen with a look at the randomness biases every count
//     that is estimated from it.
//   - Neither Attributes nor TraceState refer to memory that changes later.
//   - The function in TraceState leaves the ot member alone: it belongs to
//     the sampler returned by New, which overrides any change to it.
//   - SamplingIntent never panics, whatever the parameters.
//   - Description is not empty and may change over time.
type Composable interface {
	// SamplingIntent says how the span about to start should be sampled.
	SamplingIntent(p Parameters) Intent
	// Description names the policy and its configuration, for people.
	Description() string
}

// Parameters describe the span about to start.
type Parameters struct {
	sdktrace.SamplingParameters

	parent     parentState
	randomness uint64 // R, 56 bits
	shard      uint8  // where to count
}

// parentState is what samplers need to know about the parent.
type parentState struct {
	threshold Threshold // none without a parent
	kind      Parent
	flags     trace.TraceFlags
	// explicit says that the randomness was read from rv.
	explicit bool
}

// NewParameters reads what p says about the parent. Implementations of
// [Composable] are given Parameters; NewParameters is for their tests.
func NewParameters(p sdktrace.SamplingParameters) Parameters {
	psc := trace.SpanContextFromContext(p.ParentContext)
	q := Parameters{SamplingParameters: p}
	q.randomness, q.parent = inspect(p.TraceID, &psc, parseOT(psc.TraceState().Get(otKey)))
	return q
}

func inspect(id trace.TraceID, psc *trace.SpanContext, ot otValue) (randomness uint64, p parentState) {
	p.kind = parentOf(psc)
	p.flags = psc.TraceFlags()
	p.explicit = ot.hasRandomness
	if p.kind != NoParent {
		p.threshold = ot.threshold
	}
	if ot.hasRandomness {
		return ot.randomness, p
	}
	// Without rv the trace id counts as random, whatever the random flag says
	// (OpenTelemetry Specification, "Presumption of TraceID randomness").
	return binary.BigEndian.Uint64(id[8:]) & (maxAdjustedCount - 1), p
}

// Parent says whether the span has no parent, a local or a remote one.
func (p *Parameters) Parent() Parent { return p.parent.kind }

// ParentThreshold returns the threshold published by the parent, or none when
// the span has no parent or the parent published no valid one.
func (p *Parameters) ParentThreshold() Threshold { return p.parent.threshold }

// An Intent is the SamplingIntent of the specification. The zero Intent drops
// the span.
type Intent struct {
	// Threshold is the rejection threshold; none drops the span.
	Threshold Threshold
	// Reliable says that the threshold is the true one, so that it may be
	// published and adjusted counts be computed from it.
	Reliable bool
	// Attributes are added to the span if it is kept. They are not modified.
	Attributes []attribute.KeyValue
	// TraceState changes the tracestate of the span, kept or not. Nil leaves
	// it as it is.
	TraceState func(trace.TraceState) trace.TraceState
}
