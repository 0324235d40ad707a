package trust_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

func ExampleHandler() {
	private := trust.Networks(netip.MustParsePrefix("10.0.0.0/8"))
	tp := sdktrace.NewTracerProvider()
	handler := trust.Handler(otelhttp.NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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

func ExampleUntrusted() {
	p := trust.Propagator(propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{}))
	message := propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"baggage":     "user=root",
	}
	ctx := p.Extract(trust.Untrusted(context.Background()), message)
	fmt.Println(trace.SpanContextFromContext(ctx).IsValid())
	fmt.Println(trust.Caller(ctx).TraceID())

	// The first span refers to the caller.
	ctx, span := sdktrace.NewTracerProvider().Tracer("").Start(ctx, "work")
	trust.Link(ctx, span)
	fmt.Println(span.(sdktrace.ReadOnlySpan).Links()[0].SpanContext.SpanID())
	span.End()
	// Output:
	// false
	// 0af7651916cd43dd8448eb211c80319c
	// b7ad6b7169203331
}

func ExampleTransport() {
	hosts, err := trust.ParseHosts("localhost", "*.internal.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: otelhttp.NewTransport(trust.Transport(http.DefaultTransport, hosts))}
	_ = client
	fmt.Println(hosts.Contains("stock.internal.example"), hosts.Contains("api.partner.example"))
	_, err = trust.ParseHosts("partner.example:443")
	fmt.Println(err)
	// Output:
	// true false
	// host "partner.example:443": want a host name or IP address without port, *.domain, or *
}

func ExampleSecret() {
	trusted := trust.Secret("X-Edge-Secret", "s3cret")
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", http.NoBody)
	fmt.Println(trusted(r))
	r.Header.Set("X-Edge-Secret", "s3cret")
	fmt.Println(trusted(r))
	// Output:
	// false
	// true
}
