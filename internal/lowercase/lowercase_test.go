package lowercase_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/lowercase"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

// Each name is written once and in lower case, whoever writes it and whatever
// was there.
func TestCarrier(t *testing.T) {
	all := propagation.NewCompositeTextMapPropagator(propagator.New(), propagation.Baggage{},
		b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader)), jaeger.Jaeger{})
	carrier := propagation.MapCarrier{
		"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
		"tracestate":  "1a=x,foo=1",
	}
	ctx := propagator.New().Extract(t.Context(), carrier)
	member, _ := baggage.NewMember("user", "alice")
	bag, _ := baggage.New(member)
	ctx = baggage.ContextWithBaggage(ctx, bag)
	bare := propagator.New().Extract(t.Context(), propagation.MapCarrier{"traceparent": carrier["traceparent"]})
	stock := trace.ContextWithRemoteSpanContext(t.Context(), trace.SpanContextFromContext(bare))

	w3c := http.Header{"traceparent": {carrier["traceparent"]}, "Accept": {"*"}}
	full := http.Header{
		"traceparent": {carrier["traceparent"]}, "tracestate": {"1a=x,foo=1"}, "baggage": {"user=alice"},
		"x-b3-traceid": {"0af7651916cd43dd8448eb211c80319c"}, "x-b3-spanid": {"b7ad6b7169203331"}, "x-b3-sampled": {"1"},
		"uber-trace-id": {"0af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:0:1"}, "Accept": {"*"},
	}
	for _, tt := range []struct {
		rule string
		got  http.Header
		want http.Header
	}{
		{"all formats", injected(func(c lowercase.Carrier) { all.Inject(ctx, c) }), full},
		{"through a trust boundary", injected(func(c lowercase.Carrier) { trust.Propagator(all).Inject(ctx, c) }), full},
		{"no tracestate", injected(func(c lowercase.Carrier) { propagator.New().Inject(bare, c) }), w3c},
		{"stock's propagator", injected(func(c lowercase.Carrier) { propagation.TraceContext{}.Inject(stock, c) }),
			http.Header{"traceparent": {carrier["traceparent"]}, "Accept": {"*"}, "Tracestate": {"old=1"}, "tracestate": {"old=1"}}},
	} {
		if _, written := tt.want["uber-trace-id"]; !written { //nolint:staticcheck // lower-case names are what it writes
			delete(tt.got, "Uber-Trace-Id") // what nobody writes stays
		}
		if !maps.EqualFunc(tt.got, tt.want, slices.Equal) {
			t.Errorf("%s: the header is %v, want %v", tt.rule, tt.got, tt.want)
		}
	}
	c := lowercase.Carrier{"Baggage": {"a=1"}, "tracestate": {"b=2"}, "X-None": nil}
	if c.Get("baggage") != "a=1" || c.Get("TraceState") != "b=2" || c.Get("x-none") != "" || len(c.Keys()) != 3 {
		t.Errorf("read %v", c)
	}
}

func injected(inject func(lowercase.Carrier)) http.Header {
	h := http.Header{
		"Traceparent": {"old"}, "traceparent": {"old"}, "Tracestate": {"old=1"}, "tracestate": {"old=1"},
		"Uber-Trace-Id": {"old"}, "Accept": {"*"},
	}
	inject(lowercase.Carrier(h))
	return h
}
