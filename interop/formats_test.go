package interop_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/propagators/aws/xray"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/contrib/propagators/ot"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
)

// formats are the propagators of the older formats, by their names in
// OTEL_PROPAGATORS.
var formats = []struct {
	name       string
	propagator propagation.TextMapPropagator
}{
	{"b3", b3.New(b3.WithInjectEncoding(b3.B3SingleHeader))},
	{"b3multi", b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader))},
	{"jaeger", jaeger.Jaeger{}},
	{"xray", xray.Propagator{}},
	{"ottrace", ot.OT{}},
}

// spanContext has a trace id of 64 bits, for that is all that ottrace carries.
func spanContext(trace64, span byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{8: trace64, 15: 1}, SpanID: trace.SpanID{span, 7: 1}, TraceFlags: flags, Remote: true,
	})
}

func inject(p propagation.TextMapPropagator, sc trace.SpanContext, h http.Header) {
	p.Inject(trace.ContextWithSpanContext(context.Background(), sc), propagation.HeaderCarrier(h))
}

func extract(p propagation.TextMapPropagator, h http.Header) trace.SpanContext {
	return trace.SpanContextFromContext(p.Extract(context.Background(), propagation.HeaderCarrier(h)))
}

func sameSpan(a, b trace.SpanContext) bool {
	return a.TraceID() == b.TraceID() && a.SpanID() == b.SpanID() && a.IsSampled() == b.IsSampled()
}

func TestFormatAlone(t *testing.T) {
	for _, f := range formats {
		for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} {
			want, h := spanContext(1, 2, flags), http.Header{}
			inject(f.propagator, want, h)
			if h.Get("traceparent") != "" || len(h) == 0 {
				t.Errorf("%s wrote %v", f.name, h)
			}
			if got := extract(f.propagator, h); !sameSpan(got, want) {
				t.Errorf("%s: extracted %v from %v, want %v", f.name, got, h, want)
			}
		}
	}
}

// TestFormatBesideOurs: all formats that are configured are written, and any of
// them is enough to continue a trace.
func TestFormatBesideOurs(t *testing.T) {
	for _, f := range formats {
		for _, order := range []string{"tracecontext," + f.name, f.name + ",tracecontext"} {
			both := inOrder(order, f.name, f.propagator)
			want, h := spanContext(1, 2, trace.FlagsSampled), http.Header{}
			inject(both, want, h)
			for name, alone := range map[string]propagation.TextMapPropagator{"tracecontext": propagator.New(), f.name: f.propagator} {
				if got := extract(alone, h); !sameSpan(got, want) {
					t.Errorf("%s wrote %v, in which %s finds %v", order, h, name, got)
				}
				single := http.Header{}
				inject(alone, want, single)
				if got := extract(both, single); !sameSpan(got, want) {
					t.Errorf("%s extracted %v from %v, want %v", order, got, single, want)
				}
			}
		}
	}
}

// TestFormatsDisagree: of the formats whose header is valid, the last in the
// list wins, with all it says: nothing of the others is mixed in.
func TestFormatsDisagree(t *testing.T) {
	for _, f := range formats {
		w3c, other := spanContext(1, 2, trace.FlagsSampled|0x02), spanContext(3, 4, 0)
		w3c = w3c.WithTraceState(mustTraceState(t, "clew=t1"))
		for _, test := range []struct {
			order string
			want  trace.SpanContext
		}{
			{"tracecontext," + f.name, other},
			{f.name + ",tracecontext", w3c},
		} {
			h := http.Header{}
			inject(propagator.New(), w3c, h)
			inject(f.propagator, other, h)
			p := inOrder(test.order, f.name, f.propagator)
			got := extract(p, h)
			if !sameSpan(got, test.want) || got.TraceState().String() != test.want.TraceState().String() {
				t.Errorf("%s: extracted %v, want %v", test.order, got, test.want)
			}

			// What is forwarded is one trace, in all formats.
			sent := http.Header{}
			p.Inject(p.Extract(context.Background(), propagation.HeaderCarrier(h)), propagation.HeaderCarrier(sent))
			if a, b := extract(propagator.New(), sent), extract(f.propagator, sent); !sameSpan(a, b) || !sameSpan(a, test.want) {
				t.Errorf("%s: forwarded %v", test.order, sent)
			}
			if state := sent.Get("tracestate"); state != test.want.TraceState().String() {
				t.Errorf("%s: forwarded tracestate %q", test.order, state)
			}
		}
	}
}

// TestInvalidLastFormat: a header that is not valid does not undo what another
// one said.
func TestInvalidLastFormat(t *testing.T) {
	want := spanContext(1, 2, trace.FlagsSampled)
	for _, f := range formats {
		h := http.Header{}
		inject(f.propagator, spanContext(3, 4, 0), h)
		for name := range h {
			h.Set(name, "?")
		}
		inject(propagator.New(), want, h)
		if got := extract(inOrder("tracecontext,"+f.name, f.name, f.propagator), h); !sameSpan(got, want) {
			t.Errorf("tracecontext,%s: extracted %v, want %v", f.name, got, want)
		}

		h = http.Header{}
		inject(f.propagator, want, h)
		h.Set("traceparent", "?")
		if got := extract(inOrder(f.name+",tracecontext", f.name, f.propagator), h); !sameSpan(got, want) {
			t.Errorf("%s,tracecontext: extracted %v, want %v", f.name, got, want)
		}
	}
}

// inOrder composes ours and another one as OTEL_PROPAGATORS lists them.
func inOrder(list, name string, p propagation.TextMapPropagator) propagation.TextMapPropagator {
	if list == "tracecontext,"+name {
		return propagation.NewCompositeTextMapPropagator(propagator.New(), p)
	}
	return propagation.NewCompositeTextMapPropagator(p, propagator.New())
}

func mustTraceState(t *testing.T, s string) trace.TraceState {
	t.Helper()
	ts, err := trace.ParseTraceState(s)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}
