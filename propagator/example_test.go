package propagator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
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

func ExampleLowerCase() {
	ctx := propagator.New().Extract(context.Background(), propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	})
	sent := http.Header{}
	propagator.LowerCase(propagator.New()).Inject(ctx, propagation.HeaderCarrier(sent))
	fmt.Println(sent)
	// Output: map[traceparent:[00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01]]
}

func ExampleWithMaxTracestate() {
	p := propagator.New(propagator.WithMaxTracestate(1024))
	fmt.Println(p.Fields())
	// Output: [traceparent tracestate]
}

func ExampleBoundary() {
	private := propagator.FromNetworks(netip.MustParsePrefix("10.0.0.0/8"))
	tp := sdktrace.NewTracerProvider()
	handler := propagator.Boundary(otelhttp.NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(trace.SpanContextFromContext(r.Context()).TraceID().String() == "0af7651916cd43dd8448eb211c80319c")
	}), "server", otelhttp.WithTracerProvider(tp), otelhttp.WithPropagators(propagator.New())), private)

	for _, peer := range []string{"10.1.2.3:4567", "203.0.113.9:4567"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = peer
		r.Header.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// true
	// false
}

func ExampleContextWithUntrusted() {
	p := propagator.Guard(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{}))
	message := propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"baggage":     "user=root",
	}
	ctx := p.Extract(propagator.ContextWithUntrusted(context.Background()), message)
	fmt.Println(trace.SpanContextFromContext(ctx).IsValid())
	fmt.Println(propagator.Caller(ctx).TraceID())

	// The first span refers to the caller.
	ctx, span := sdktrace.NewTracerProvider().Tracer("").Start(ctx, "work")
	propagator.LinkCaller(ctx, span)
	fmt.Println(span.(sdktrace.ReadOnlySpan).Links()[0].SpanContext.SpanID())
	span.End()
	// Output:
	// false
	// 0af7651916cd43dd8448eb211c80319c
	// b7ad6b7169203331
}

func ExampleOutbound() {
	hosts, err := propagator.ParseHosts("localhost", "*.internal.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: otelhttp.NewTransport(propagator.Outbound(http.DefaultTransport, hosts))}
	_ = client
	fmt.Println(hosts.Contains("stock.internal.example"), hosts.Contains("api.partner.example"))
	_, err = propagator.ParseHosts("partner.example:443")
	fmt.Println(err)
	// Output:
	// true false
	// host "partner.example:443": want a host name or IP address without port, *.domain, or *
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

func ExampleWithSecret() {
	trusted := propagator.WithSecret("X-Edge-Secret", "s3cret")
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
	fmt.Println(trusted(r))
	r.Header.Set("X-Edge-Secret", "s3cret")
	fmt.Println(trusted(r))
	// Output:
	// false
	// true
}
