package tail

import sdktrace "go.opentelemetry.io/otel/sdk/trace"

// Record returns head with one change: spans that it drops are recorded, not
// sampled, for a [Processor] to see. Other services and processors see head's
// decision. Descriptions and attributes are head's.
func Record(head sdktrace.Sampler) sdktrace.Sampler { return recorder{head} }

type recorder struct{ head sdktrace.Sampler }

func (r recorder) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	result := r.head.ShouldSample(p)
	if result.Decision == sdktrace.Drop {
		result.Decision = sdktrace.RecordOnly
	}
	return result
}

func (r recorder) Description() string { return "TailRecord{" + r.head.Description() + "}" }
