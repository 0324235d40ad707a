// Package sampler decides which traces to keep. It implements the composable,
// consistent samplers of the OpenTelemetry specification, which the Go SDK
// does not have, and an adaptive one.
//
// [New] turns a [Composable], a policy, into a sampler for the SDK:
//
//	sdktrace.WithSampler(sampler.New(
//		sampler.ParentThreshold(
//			sampler.Rules(
//				sampler.Rule{Match: sampler.Match{Name: "GET /healthz"}, Sampler: sampler.AlwaysOff()},
//				sampler.Rule{Match: sampler.Match{Name: "POST /checkout"}, Sampler: sampler.AlwaysOn()},
//				sampler.Rule{Sampler: sampler.Probability(0.1)},
//			))))
//
// # Policies
//
// [AlwaysOn], [AlwaysOff] and [Probability] decide by themselves; [RateLimit]
// and [Adaptive] follow the traffic. [ParentThreshold] follows the parent and
// asks another policy about root spans. [Rules] choose a policy by what the
// span is, [AnyOf] keeps what one of several policies would keep, [Annotate]
// adds attributes to what is kept. Write your own by implementing Composable;
// package samplertest checks it. Package rulesfile reads rules from a file.
//
// # Consistency and adjusted counts
//
// Every trace has 56 random bits R: the rv sub-key of the ot member of
// tracestate or else the end of the trace id. A policy answers with a
// threshold T, and the trace is kept if R >= T. As all services compare the
// same R, a trace kept at one probability is kept at every larger one.
//
// T is published as the th sub-key. It tells a backend that a kept span stands
// for 2^56/(2^56-T) spans, its adjusted count, from which rates and error
// ratios can be computed as if nothing had been dropped. The sampler writes th
// when it is known to be true and erases it when it is not; rv and all other
// sub-keys stay as they are.
//
// # How Adaptive works
//
// The probability of a span depends on the past only, never on its own R. The sum of
// adjusted counts is therefore right on average, whatever the rest of the law is:
//
//	probability = gate × feedback × (even + fair + overdue)
//
// Overdue rises steeply to 1 when an operation was not kept for 50 seconds, or for
// longer if the target does not suffice for that. It takes up to 85% of the target,
// which suffices to keep 51 operations a minute for each trace per second. If there are
// more operations, none is certain to be kept within a minute, and overdue takes less
// in proportion.
//
// Even and fair divide the rest. Even is the same for all spans, which is best for
// totals: it bounds the variance of the estimated number of spans by the least possible
// variance divided by its share of the target. Fair grows with the mean time between
// the kept spans of the operation, so rare operations get more. It takes half of the
// rest when nothing is overdue, and less than half otherwise.
//
// Feedback is e^(balance/scale). The balance is how many spans fewer were kept than the
// target allows. Scale is what the target allows in 0.75 seconds, but at least 3. If
// too many spans are kept, all probabilities are lower until the balance is zero again.
// The balance is at most what 0.8 seconds allow, so that a burst does not follow idle
// time. Of that, only what 0.4 seconds allow counts at a time, so that it is not spent
// at once.
//
// Gate keeps the number of spans kept in any one second below twice the target. It is 1
// until 1.4 times the target were kept in the last second, and falls to e^-6 when that
// reaches twice the target. It is never 0, because a span that cannot be kept would be
// missing from every sum. Targets below 10 have a flatter gate, because chance takes
// them to their limit all the time; below about 6 it does not hold in every second.
//
// The rate of traffic is the mean over 10 seconds. That mean starts anew when the odds
// that the number of spans in the current tenth of a second is chance are less than
// e^-25. This takes milliseconds when traffic grows tenfold. Time in which nothing
// came, although much was expected, is left out of the mean.
//
// All of this is arithmetic in ShouldSample; there is no goroutine, and
// probabilities are renewed every 2 milliseconds and after each kept span.
//
// # Performance
//
// ShouldSample does not allocate when it drops a span, when it keeps a child
// whose parent has the same threshold, or when it keeps a root span whose
// tracestate was empty and whose threshold was used before. Otherwise it
// allocates the new tracestate.
//
// Patterns without * and ? in a [Match], or with one * at their end, cost a
// comparison; others are searched in time bounded by the product of the
// lengths. Put the rules that match most spans first. [ParentThreshold]
// directly below New costs nothing extra; each other level copies the
// [Parameters], a few nanoseconds.
//
// The benchmark BenchmarkCost prints the cost of each policy as a multiple of
// the SDK's own ParentBased(TraceIDRatioBased).
//
// # Metrics
//
// The sampler made by New and every Adaptive export metrics through the
// OpenTelemetry API, by default to the global meter provider:
//
//   - clew.sampler.decisions, a counter of {span}, by clew.sampler.decision:
//     kept or dropped
//   - clew.sampler.target, in {trace}/s: what this process aims at, after
//     replicas and load
//   - clew.sampler.load: the highest load signal, smoothed; 1 is the limit
//   - clew.sampler.operations, in {operation}: how many are tracked
//   - clew.sampler.probability, from 0 to 1, by clew.sampler.operation, for
//     100 operations at most
package sampler
