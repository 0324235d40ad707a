package tail

import sdktrace "go.opentelemetry.io/otel/sdk/trace"

// Record returns head with one change: spans that head drops are recorded, but not
// sampled, so that a [Processor] sees them. Other services and processors see the
// decision of head. Its attributes and tracestate stay as they are.
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
