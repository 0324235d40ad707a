package propagator_test

import (
	"context"
	"encoding/json"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

func TestSavedRoundTrip(t *testing.T) {
	ctx := w3c.Extract(t.Context(), header("Traceparent", parent, "Tracestate", "1a=x,foo=1"))
	ctx = propagation.Baggage{}.Extract(ctx, propagation.MapCarrier{"baggage": "user=alice"})
	want := propagator.Saved{Traceparent: parent, Tracestate: "1a=x,foo=1", Baggage: "user=alice"}
	saved := propagator.Save(ctx)
	if saved != want {
		t.Fatalf("saved %+v, want %+v", saved, want)
	}
	for name, again := range map[string]func(*testing.T) propagator.Saved{
		"JSON": func(t *testing.T) (s propagator.Saved) {
			t.Helper()
			text, err := json.Marshal(saved)
			if err == nil {
				err = json.Unmarshal(text, &s)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"text": func(t *testing.T) (s propagator.Saved) {
			t.Helper()
			text, err := saved.MarshalText()
			if err == nil {
				err = s.UnmarshalText(text)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := again(t)
			if s != saved {
				t.Errorf("got %+v, want %+v", s, saved)
			}
			ctx := s.Context(t.Context())
			if propagator.Save(ctx) != saved {
				t.Errorf("saved again: %+v, want %+v", propagator.Save(ctx), saved)
			}
			if got := baggage.FromContext(ctx).Member("user").Value(); got != "alice" {
				t.Errorf("baggage user is %q", got)
			}
			if !s.Link().SpanContext.Equal(trace.SpanContextFromContext(ctx)) {
				t.Errorf("link to %v", s.Link().SpanContext)
			}
		})
	}
}

func TestSavedNothing(t *testing.T) {
	if s := propagator.Save(t.Context()); s != (propagator.Saved{}) {
		t.Errorf("no context was saved as %+v", s)
	}
	for name, s := range map[string]propagator.Saved{
		"zero value": {},
		"not valid":  {Traceparent: "junk", Tracestate: "junk", Baggage: "="},
	} {
		if ctx := s.Context(t.Context()); ctx != t.Context() {
			t.Errorf("%s: Context returned %v", name, ctx)
		}
		if s.Link().SpanContext.IsValid() {
			t.Errorf("%s: Link returned %v", name, s.Link())
		}
	}
	var s propagator.Saved
	if text, err := json.Marshal(s); err != nil || string(text) != "{}" {
		t.Errorf("the zero value as JSON: %s, %v", text, err)
	}
	if text, err := s.MarshalText(); err != nil || len(text) != 0 {
		t.Errorf("the zero value as text: %q, %v", text, err)
	}
	s = propagator.Saved{Traceparent: parent}
	if err := s.UnmarshalText([]byte("Other: x\nTRACESTATE : foo=1\r\nnonsense")); err != nil || s != (propagator.Saved{Tracestate: "foo=1"}) {
		t.Errorf("read %+v, %v", s, err)
	}
	if err := s.UnmarshalJSON([]byte(`{"traceparent":1}`)); err == nil || s.Tracestate != "foo=1" {
		t.Errorf("a number was read as %+v, %v", s, err)
	}
}

func TestSavedIntoUntrustedContext(t *testing.T) {
	s := propagator.Saved{Traceparent: parent, Tracestate: "foo=1", Baggage: "user=root"}
	ctx := s.Context(trust.Untrusted(context.Background()))
	if trace.SpanContextFromContext(ctx).IsValid() || baggage.FromContext(ctx).Len() != 0 {
		t.Errorf("an untrusted job chose its parent or baggage")
	}
}
