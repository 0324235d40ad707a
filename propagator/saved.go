package propagator

import (
	"context"
	"encoding/json"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/boundary"
)

// Saved is the trace context and baggage of a job or message, as text that can be
// stored beside it. [Save] makes one. Whoever works on the job later continues the
// trace with [Saved.Context], or refers to it with [Saved.Link].
//
// The zero value holds no context: Context returns the context it is given, and Link
// returns a link that the SDK ignores. Text that is not valid counts as none, so that
// a job with a damaged trace context is worked on all the same.
type Saved struct {
	Traceparent string `json:"traceparent,omitempty"`
	Tracestate  string `json:"tracestate,omitempty"`
	Baggage     string `json:"baggage,omitempty"`
}

// format writes and reads the three fields of Saved.
var format = boundary.Propagator{TextMapPropagator: propagation.NewCompositeTextMapPropagator(New(), propagation.Baggage{})}

// Save returns the trace context and the baggage in ctx.
func Save(ctx context.Context) Saved {
	carrier := propagation.MapCarrier{}
	format.Inject(ctx, carrier)
	return Saved{
		Traceparent: carrier["traceparent"],
		Tracestate:  carrier["tracestate"],
		Baggage:     carrier["baggage"],
	}
}

// Context returns ctx with the saved span as the remote parent of the next span, and
// with the saved baggage. If the job waited for long, or if it is one of many that are
// worked on together, [Saved.Link] is the better choice.
func (s Saved) Context(ctx context.Context) context.Context {
	return format.Extract(ctx, propagation.MapCarrier{
		"traceparent": s.Traceparent,
		"tracestate":  s.Tracestate,
		"baggage":     s.Baggage,
	})
}

// Link returns a link to the span that was current when the context was saved,
// for [trace.WithLinks].
func (s Saved) Link() trace.Link {
	return trace.Link{SpanContext: trace.SpanContextFromContext(s.Context(context.Background()))}
}

// String returns the fields that are not empty, each as a line "name: value".
func (s Saved) String() string {
	var b strings.Builder
	for _, f := range [...]struct{ name, value string }{
		{"traceparent", s.Traceparent}, {"tracestate", s.Tracestate}, {"baggage", s.Baggage},
	} {
		if f.value != "" {
			b.WriteString(f.name + ": " + f.value + "\n")
		}
	}
	return b.String()
}

// MarshalText returns what [Saved.String] does. The error is always nil.
func (s Saved) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [Saved.MarshalText] wrote. Lines with other names are
// ignored. The error is always nil.
func (s *Saved) UnmarshalText(text []byte) error {
	*s = Saved{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "traceparent":
			s.Traceparent = value
		case "tracestate":
			s.Tracestate = value
		case "baggage":
			s.Baggage = value
		}
	}
	return nil
}

// savedFields has the fields of Saved without its methods, so that package json reads
// and writes the fields.
type savedFields Saved

// MarshalJSON returns an object with the fields that are not empty.
func (s Saved) MarshalJSON() ([]byte, error) { return json.Marshal(savedFields(s)) }

// UnmarshalJSON reads what [Saved.MarshalJSON] wrote. If data is not such an
// object, s is left as it was.
func (s *Saved) UnmarshalJSON(data []byte) error {
	var fields savedFields
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	*s = Saved(fields)
	return nil
}
