// Package tail decides after the fact which traces to keep. Its [Processor]
// holds the spans of a trace back until this process has done its part of it,
// and then keeps those that failed, were slow or matter for another reason:
//
//	processor, err := tail.NewProcessor(sdktrace.NewBatchSpanProcessor(exporter), tail.Config{
//		Policies: []tail.Policy{
//			{Span: tail.Condition{Error: true}},
//			{Root: tail.Condition{SlowerThanQuantile: 0.99}},
//			{Root: tail.Condition{Match: sampler.Match{Name: "POST /checkout"}}, Probability: 0.5},
//			{Probability: 0.01},
//		},
//	})
//	...
//	provider := sdktrace.NewTracerProvider(
//		sdktrace.WithSampler(tail.Record(head)),
//		sdktrace.WithSpanProcessor(processor),
//	)
//
// # Fragments
//
// The unit of decision is the fragment: all spans of one trace in this
// process. A local root is a span without a parent in this process: its parent
// is invalid or remote. A fragment is decided when the last of its local roots
// has ended, so that a process that calls itself, or that consumes what it
// produced, decides once on the whole.
//
//   - A span that ends after the decision follows it, such as that of
//     asynchronous work that outlives its request. About MaxDecisions decisions
//     are remembered; a span whose decision is forgotten is decided on its own.
//   - A new local root of a trace that was kept is kept. Of a trace that was
//     dropped, it starts a new fragment.
//   - A root that never ends is decided on after Timeout with what is there,
//     itself included: it counts as lasting until now.
//   - A link does not join fragments: a consumer that starts a trace of its own
//     and links to the producer's is decided on its own.
//
// # What the head sampler decided
//
// What the head sampler kept stays kept. What it dropped has to be recorded for
// the processor to see it: wrap the sampler in [Record]. Kept spans get a
// sampled span context, so that the processors and exporters behind see
// ordinary sampled spans.
//
// Other services have seen the head sampler's decision, not this one: a kept
// fragment is this service's part of the trace. [Processor.Propagator] tells
// the services that are called after the failure.
//
// # Adjusted counts
//
// The th of a kept span tells how many spans it stands for. Spans kept by
// Probability alone carry its threshold, compared with the trace's randomness
// as the specification's "TraceState: Probability Sampling" says, so that a
// head sampler and other services agree on the same traces. Spans kept for any
// other reason carry no th: they stand for themselves.
//
// # Performance
//
// State is sharded by trace id; no lock is held while policies or the next
// processor run. A trace that is dropped costs no allocation of its own.
package tail
