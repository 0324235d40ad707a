package otelsetup_test

import (
	"encoding/hex"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/clewtrace/clew/propagator/trust"
)

const (
	callerTrace = "67891233abcdef012345678912345678"
	callerSpan  = "463ac35c9f6413ad"
	xrayIDs     = "Root=1-67891233-abcdef012345678912345678;Parent=" + callerSpan
)

// headers are keys and values.
func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// TestUndecidedTraces receives headers that leave the decision open, or do not, and
// looks at which spans arrive: with the trace of the caller, below its span, and
// with the decision in what is sent on.
func TestUndecidedTraces(t *testing.T) {
	b3multi := func(more ...string) http.Header {
		return headers(append([]string{"X-B3-Traceid", callerTrace, "X-B3-Spanid", callerSpan}, more...)...)
	}
	b3 := func(state string) http.Header { return headers("b3", callerTrace+"-"+callerSpan+state) }
	xray := func(state string) http.Header { return headers("X-Amzn-Trace-Id", xrayIDs+state) }
	const open, yes, no = "open", "yes", "no" // what the headers say
	for _, test := range []struct {
		name, propagators string
		received          http.Header
		says              string
	}{
		{"b3", "b3", b3(""), open},
		{"b3 sampled", "b3", b3("-1"), yes},
		{"b3 unsampled", "b3", b3("-0"), no},
		{"b3 debug", "b3", b3("-d"), yes},
		{"b3 with a parent", "b3", b3("-0-" + callerSpan), no},
		{"b3 in several headers", "b3", b3multi(), open},
		{"b3multi", "b3multi", b3multi(), open},
		{"b3multi in one header", "b3multi", b3(""), open},
		{"b3multi, what one header says is wrong", "b3multi", b3multi("b3", "wrong"), open},
		{"b3multi sampled", "b3multi", b3multi("X-B3-Sampled", "1"), yes},
		{"b3multi unsampled", "b3multi", b3multi("X-B3-Sampled", "0"), no},
		{"b3multi debug", "b3multi", b3multi("X-B3-Flags", "1"), yes},
		{"xray", "xray", xray(";Sampled=?"), open},
		{"xray without it", "xray", xray(""), open},
		{"xray, in another order", "xray", headers("X-Amzn-Trace-Id", "Sampled=?;"+xrayIDs), open},
		{"xray sampled", "xray", xray(";Sampled=1"), yes},
		{"xray unsampled", "xray", xray(";Sampled=0"), no},
		{"traceparent decides", "b3,tracecontext", headers("b3", callerTrace+"-"+callerSpan, "traceparent", "00-"+callerTrace+"-1111111111111111-00"), no},
		{"several", "tracecontext,baggage,b3,xray", b3(""), open},
	} {
		for sampler, begun := range map[string]bool{ // whether it samples what begins here
			"parentbased_always_on": true, "parentbased_always_off": false, "parentbased_traceidratio": true,
			"parentbased_probability": true, "parentbased_adaptive": true,
		} {
			t.Run(test.name+" "+sampler, func(t *testing.T) {
				t.Setenv("OTEL_PROPAGATORS", test.propagators)
				t.Setenv("OTEL_TRACES_SAMPLER", sampler)
				if sampler == "parentbased_adaptive" {
					t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1000")
				}
				want := test.says == yes || test.says == open && begun
				store, _, flush := start(t)
				ctx := otel.GetTextMapPropagator().Extract(t.Context(), propagation.HeaderCarrier(test.received))
				ctx, span := otel.Tracer("test").Start(ctx, "server")
				_, child := otel.Tracer("test").Start(ctx, "child")
				child.End()
				span.End()
				if sc := span.SpanContext(); sc.IsSampled() != want || sc.TraceID().String() != callerTrace {
					t.Errorf("sampled %t in trace %s, want %t in the caller's", sc.IsSampled(), sc.TraceID(), want)
				}
				sent := http.Header{}
				otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(sent))
				checkSent(t, sent, want)
				flush()
				spans := store.Spans()
				if !want {
					if len(spans) > 0 {
						t.Errorf("%d spans arrived, want none", len(spans))
					}
					return
				}
				if len(spans) != 2 {
					t.Fatalf("%d spans arrived, want 2", len(spans))
				}
				server := spans[0]
				if server.GetName() == "child" {
					server = spans[1]
				}
				if hex.EncodeToString(server.GetParentSpanId()) != callerSpan || hex.EncodeToString(server.GetTraceId()) != callerTrace {
					t.Errorf("span in trace %x below %x, want below the caller's", server.GetTraceId(), server.GetParentSpanId())
				}
			})
		}
	}
}

// checkSent wants the decision in every header that was sent, and no other.
func checkSent(t *testing.T, sent http.Header, sampled bool) {
	t.Helper()
	state := "0"
	if sampled {
		state = "1"
	}
	if v := sent.Get("b3"); v != "" && v[len(v)-2:] != "-"+state && v[len(v)-2:] != "-d" {
		t.Errorf("b3: %s was sent, want the decision %s", v, state)
	}
	if sent.Get("X-B3-Traceid") != "" && sent.Get("X-B3-Sampled") != state && sent.Get("X-B3-Flags") != "1" {
		t.Errorf("%v was sent, want the decision %s", sent, state)
	}
	if v := sent.Get("X-Amzn-Trace-Id"); v != "" && v[len(v)-2:] != "="+state {
		t.Errorf("%s was sent, want the decision %s", v, state)
	}
}

// TestUndecidedGoesOnWithoutASpan passes on what was received where nobody starts a
// span.
func TestUndecidedGoesOnWithoutASpan(t *testing.T) {
	for propagators, received := range map[string]http.Header{
		"b3":      headers("b3", callerTrace+"-"+callerSpan),
		"b3multi": headers("X-B3-Traceid", callerTrace, "X-B3-Spanid", callerSpan),
		"xray":    headers("X-Amzn-Trace-Id", xrayIDs+";Sampled=?"),
	} {
		t.Run(propagators, func(t *testing.T) {
			t.Setenv("OTEL_PROPAGATORS", propagators)
			start(t)
			p := otel.GetTextMapPropagator()
			sent := http.Header{}
			p.Inject(p.Extract(t.Context(), propagation.HeaderCarrier(received)), propagation.HeaderCarrier(sent))
			for name := range received {
				if sent.Get(name) != received.Get(name) {
					t.Errorf("%s: %s was sent, want %s", name, sent.Get(name), received.Get(name))
				}
			}
			if len(sent) != len(received) {
				t.Errorf("%v was sent, want %v", sent, received)
			}
		})
	}
}

// TestUndecidedCallerIsNotTrusted restarts the trace of a caller that is not
// trusted, whatever it leaves open.
func TestUndecidedCallerIsNotTrusted(t *testing.T) {
	t.Setenv("OTEL_PROPAGATORS", "b3")
	start(t)
	ctx := otel.GetTextMapPropagator().Extract(trust.Untrusted(t.Context()), propagation.HeaderCarrier(headers("b3", callerTrace+"-"+callerSpan)))
	_, span := otel.Tracer("test").Start(ctx, "server")
	defer span.End()
	if sc := span.SpanContext(); sc.TraceID().String() == callerTrace || !sc.IsSampled() {
		t.Errorf("span %v, want a sampled one of a new trace", sc)
	}
}
