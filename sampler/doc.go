// Package sampler decides which traces to keep. It implements the composable,
// consistent samplers of the OpenTelemetry specification, which the Go SDK
// does not have.
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
package sampler
