package propagator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
)

func ExampleNew() {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{}))

	// A service that records nothing forwards what it receives.
	received := http.Header{
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"},
		"Tracestate":  {"1a@shop=x", "rojo=1"},
	}
	ctx := otel.GetTextMapPropagator().Extract(context.Background(), propagation.HeaderCarrier(received))
	sent := http.Header{}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(sent))
	fmt.Println(sent)
	// Output: map[Traceparent:[00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03] Tracestate:[1a@shop=x,rojo=1]]
}

func ExampleWithMaxTracestate() {
	p := propagator.New(propagator.WithMaxTracestate(1024))
	fmt.Println(p.Fields())
	// Output: [traceparent tracestate]
}

func ExampleSave() {
	p := propagator.New()
	ctx := p.Extract(context.Background(), propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"tracestate":  "rojo=1",
	})

	// The producer stores the context in the job ...
	type job struct {
		Task  string           `json:"task"`
		Trace propagator.Saved `json:"trace,omitzero"`
	}
	text, err := json.Marshal(job{"resize", propagator.Save(ctx)})
	fmt.Println(string(text), err)

	// ... and the consumer continues the trace, or links to it.
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		fmt.Println(err)
		return
	}
	parent := j.Trace.Context(context.Background())
	fmt.Println(trace.SpanContextFromContext(parent).TraceID())
	fmt.Println(j.Trace.Link().SpanContext.SpanID())
	// Output:
	// {"task":"resize","trace":{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"rojo=1"}} <nil>
	// 0af7651916cd43dd8448eb211c80319c
	// b7ad6b7169203331
}
