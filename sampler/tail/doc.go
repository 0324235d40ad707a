// Package tail decides which traces to keep after their spans have ended. Its
// [Processor] holds the spans of a trace back until this process has finished its part
// of the trace. It then keeps the traces that failed, were slow or matter for another
// reason:
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
// The unit of decision is the fragment: all spans of one trace in this process. A local
// root is a span without a parent in this process: its parent is invalid or remote. A
// fragment is decided when the last of its local roots has ended. A process that calls
// itself, or that consumes what it produced, therefore decides once on all of its
// spans.
//
//   - A span that ends after the decision follows it, such as a span of asynchronous work
//     that outlives its request. About MaxDecisions decisions are remembered. A span
//     whose decision is forgotten is decided on its own.
//   - A new local root is kept if its trace was kept. If its trace was dropped, it starts
//     a new fragment.
//   - A fragment with a local root that does not end is decided after Timeout. The root
//     counts as lasting until then.
//   - A link does not join fragments: a consumer that starts a trace of its own and links
//     to that of the producer is decided on its own.
//
// # What the head sampler decided
//
// A span that the head sampler kept stays kept. A span that it dropped has to be
// recorded for the processor to see it: wrap the sampler in [Record]. A span that the
// processor keeps gets a sampled span context, so that the processors and exporters
// behind it see an ordinary sampled span.
//
// Other services have seen the decision of the head sampler, not this one, so a kept
// fragment is only this service's part of the trace. [Processor.Propagator] passes the
// decision on to services that are called after the failure.
//
// # Adjusted counts
//
// The th of a kept span tells how many spans it stands for. A span that was kept by
// Probability alone carries the threshold of that probability, which was compared with
// the randomness of the trace. Other services and a head sampler that do so keep the
// same traces (OpenTelemetry Specification, "TraceState: Probability Sampling"). A span
// kept for any other reason carries no th: it stands for itself.
//
// # Performance
//
// State is sharded by trace id; no lock is held while policies or the next
// processor run. A trace that is dropped costs no allocation of its own.
package tail
