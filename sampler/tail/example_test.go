package tail_test

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/sampler"
	"github.com/clewtrace/clew/sampler/tail"
)

func ExampleNewProcessor() {
	ctx := context.Background()
	exporter := tracetest.NewInMemoryExporter() // an OTLP exporter, in a service
	processor, err := tail.NewProcessor(sdktrace.NewSimpleSpanProcessor(exporter), tail.Config{
		Policies: []tail.Policy{
			{Span: tail.Condition{Error: true}},
			{Root: tail.Condition{SlowerThan: time.Second}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(tail.Record(sampler.New(sampler.Probability(0)))),
		sdktrace.WithSpanProcessor(processor),
	)
	defer func() { _ = provider.Shutdown(ctx) }()
	tracer := provider.Tracer("shop")

	for _, order := range []string{"book", "bicycle"} {
		ctx, root := tracer.Start(ctx, "POST /checkout")
		_, pay := tracer.Start(ctx, "pay "+order)
		if order == "bicycle" {
			pay.SetStatus(codes.Error, "card declined")
		}
		pay.End()
		root.End()
	}

	for _, span := range exporter.GetSpans() {
		fmt.Println(span.Name, span.Status.Description, span.Attributes)
	}
	// Output:
	// pay bicycle card declined []
	// POST /checkout  [{"clew.tail.policy":"error"} {"clew.tail.reason":"error"}]
}

func ExampleRecord() {
	// One in a hundred traces, whatever becomes of them, and what the
	// processor keeps of the others.
	head := tail.Record(sampler.New(sampler.ParentThreshold(sampler.Probability(0.01))))
	fmt.Println(head.Description()[:10])
	// Output: TailRecord
}

func ExampleProcessor_Propagator() {
	processor, err := tail.NewProcessor(tracetest.NewSpanRecorder(), tail.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(tail.Record(sdktrace.NeverSample())),
		sdktrace.WithSpanProcessor(processor),
	)
	defer func() { _ = provider.Shutdown(context.Background()) }()
	otel.SetTextMapPropagator(processor.Propagator(propagator.New()))
	defer otel.SetTextMapPropagator(propagator.New())

	ctx, root := provider.Tracer("").Start(context.Background(), "root")
	defer root.End()
	fmt.Println("before:", sent(ctx))
	root.SetStatus(codes.Error, "out of stock")
	fmt.Println("after: ", sent(ctx))
	// Output:
	// before: 00
	// after:  01
}

// sent returns the sampled flag of a call.
func sent(ctx context.Context) trace.TraceFlags {
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	sc := trace.SpanContextFromContext(otel.GetTextMapPropagator().Extract(context.Background(), carrier))
	return sc.TraceFlags() & trace.FlagsSampled
}
