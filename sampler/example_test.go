package sampler_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

func Example() {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler.New(
		sampler.ParentThreshold(sampler.Rules(
			sampler.Rule{Match: sampler.Match{Name: "GET /healthz"}, Sampler: sampler.AlwaysOff()},
			sampler.Rule{Match: sampler.Match{Name: "POST /checkout"}, Sampler: sampler.AlwaysOn()},
			sampler.Rule{Sampler: sampler.Probability(0.1)},
		)))))
	for _, name := range []string{"GET /healthz", "POST /checkout"} {
		_, span := provider.Tracer("shop").Start(context.Background(), name)
		fmt.Printf("%s: kept %t, tracestate %q\n", name, span.SpanContext().IsSampled(), span.SpanContext().TraceState())
		span.End()
	}
	// Output:
	// GET /healthz: kept false, tracestate ""
	// POST /checkout: kept true, tracestate "ot=th:0"
}

func ExampleNew() {
	s := sampler.New(sampler.ParentThreshold(sampler.Probability(0.25)))
	fmt.Println(s.Description())
	// Output: CompositeSampler{ParentThreshold{root:Probability{0.25}}}
}

func ExampleNewAdaptive() {
	adaptive, err := sampler.NewAdaptive(sampler.AdaptiveConfig{
		TracesPerSecond: 10,
		Replicas:        4,
		Load:            []sampler.LoadSignal{sampler.CPULoad(), sampler.HeapLoad()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	s := sampler.New(sampler.ParentThreshold(adaptive))
	fmt.Println(s.ShouldSample(sdktrace.SamplingParameters{Name: "GET /"}).Decision == sdktrace.RecordAndSample)
	fmt.Println(s.Description())
	// Output:
	// true
	// CompositeSampler{ParentThreshold{root:Adaptive{2.5/s}}}
}

func ExampleAnyOf() {
	fmt.Println(sampler.AnyOf(sampler.Probability(0.01), sampler.RateLimit(1)).Description())
	// Output: AnyOf{Probability{0.01},RateLimit{1/s}}
}

func ExampleAnnotate() {
	policy := sampler.Annotate(sampler.AlwaysOn(), attribute.String("sampled.by", "checkout"))
	result := sampler.New(policy).ShouldSample(sdktrace.SamplingParameters{})
	fmt.Println(result.Attributes[0].Key, result.Attributes[0].Value.AsString())
	// Output: sampled.by checkout
}

func ExampleThreshold() {
	t := sampler.ThresholdFor(0.01)
	fmt.Printf("th:%s stands for %.0f spans\n", t, t.AdjustedCount())
	// Output: th:fd70a stands for 100 spans
}

func ExampleMatch() {
	slow := sampler.Match{Name: "GET *", Attributes: map[attribute.Key]string{"http.response.status_code": "5??"}}.Compile()
	fmt.Println(slow.Matches("GET /users", trace.SpanKindServer, sampler.NoParent, []attribute.KeyValue{
		attribute.Int("http.response.status_code", 503),
	}))
	// Output: true
}

// stepwise starts at 10%. Every minute it halves the probability, down to 1%,
// while traffic is high, and otherwise multiplies it by 1.5, up to 100%.
type stepwise struct {
	trafficIsHigh func() bool

	mu    sync.Mutex
	ratio float64
	next  time.Time
}

func (s *stepwise) SamplingIntent(sampler.Parameters) sampler.Intent {
	s.mu.Lock()
	defer s.mu.Unlock()
	for now := time.Now(); now.After(s.next); s.next = now.Add(time.Minute) {
		switch {
		case s.next.IsZero():
			s.ratio = 0.1
		case s.trafficIsHigh():
			s.ratio = math.Max(s.ratio*0.5, 0.01)
		default:
			s.ratio = math.Min(s.ratio*1.5, 1)
		}
	}
	return sampler.Intent{Threshold: sampler.ThresholdFor(s.ratio), Reliable: true}
}

func (s *stepwise) Description() string { return "Stepwise" }

// A policy of one's own: a probability that takes steps by a load signal.
func ExampleComposable() {
	policy := &stepwise{trafficIsHigh: func() bool { return false }}
	s := sampler.New(sampler.ParentThreshold(policy))
	s.ShouldSample(sdktrace.SamplingParameters{})
	fmt.Println(s.Description(), policy.ratio)
	// Output: CompositeSampler{ParentThreshold{root:Stepwise}} 0.1
}
