package propagator_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/clewtrace/clew/internal/lowercase"
	"github.com/clewtrace/clew/propagator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var w3c = propagator.New()

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"

// supplier is a carrier that is neither a header nor a map, without Values.
type supplier map[string]string

func (s supplier) Get(k string) string { return s[k] }
func (s supplier) Set(k, v string)     { s[k] = v }
func (s supplier) Keys() []string      { return slices.Collect(maps.Keys(s)) }

// multi is a carrier with Values.
type multi map[string][]string

func (m multi) Get(k string) string {
	if len(m[k]) == 0 {
		return ""
	}
	return m[k][0]
}
func (m multi) Set(k, v string)          { m[k] = []string{v} }
func (m multi) Values(k string) []string { return m[k] }
func (m multi) Keys() []string           { return slices.Collect(maps.Keys(m)) }

func header(fields ...string) propagation.HeaderCarrier {
	h := propagation.HeaderCarrier{}
	for i := 0; i < len(fields); i += 2 {
		h[fields[i]] = append(h[fields[i]], fields[i+1])
	}
	return h
}

func extract(t *testing.T, carrier propagation.TextMapCarrier) context.Context {
	t.Helper()
	return propagator.New().Extract(t.Context(), carrier)
}

func inject(ctx context.Context, opts ...propagator.Option) http.Header {
	h := http.Header{}
	propagator.New(opts...).Inject(ctx, propagation.HeaderCarrier(h))
	return h
}

func TestCarriers(t *testing.T) {
	const state = "1a=x,foo=1"
	for _, tt := range []struct {
		rule    string
		carrier propagation.TextMapCarrier
		want    string // tracestate sent on; "-" if no context was found
	}{
		{"header", header("Traceparent", parent, "Tracestate", state), state},
		{"header, lower-case names", header("traceparent", parent, "tracestate", state), state},
		{"header, names in different spelling", header("Traceparent", parent, "tracestate", state), state},
		{"header, names in different spelling, the other way", header("traceparent", parent, "Tracestate", state), state},
		{"header, canonical names without values", propagation.HeaderCarrier{"Traceparent": nil, "traceparent": {parent}, "Tracestate": nil, "tracestate": {state}}, state},
		{"header, names that only this map can have", header("TRACEPARENT", parent, "TraceParent", parent), "-"},
		{"header, among others", header("Accept", "*", "traceparent", parent, "X-Trace", "1", "Tracestate", state), state},
		{"header, tracestate in two spellings", header("Traceparent", parent, "Tracestate", "foo=1", "tracestate", "bar=2"), "foo=1,bar=2"},
		{"header, two traceparent fields", header("Traceparent", parent, "Traceparent", parent), "-"},
		{"header, two spellings of traceparent", header("Traceparent", parent, "traceparent", parent), "-"},
		{"header, no value", propagation.HeaderCarrier{"Traceparent": nil}, "-"},
		{"header, empty value", header("Traceparent", ""), "-"},
		{"header, tracestate alone", header("Tracestate", "foo=1"), "-"},
		{"header, empty", propagation.HeaderCarrier{}, "-"},
		{"header, nil", propagation.HeaderCarrier(nil), "-"},
		{"header, whitespace around the value", header("Traceparent", " \t"+parent+"\t "), ""},
		{"map", propagation.MapCarrier{"traceparent": parent, "tracestate": state}, state},
		{"map, whitespace around the value", propagation.MapCarrier{"traceparent": " " + parent + " "}, ""},
		{"map, names are case-sensitive", propagation.MapCarrier{"Traceparent": parent}, "-"},
		{"map, nil", propagation.MapCarrier(nil), "-"},
		{"carrier with Values", multi{"traceparent": {parent}, "tracestate": {"1a=x", "", "foo=1"}}, state},
		{"carrier with Values, two traceparent fields", multi{"traceparent": {parent, parent}}, "-"},
		{"carrier with Values, empty", multi{}, "-"},
		{"any carrier", supplier{"traceparent": parent, "tracestate": state}, state},
		{"any carrier, empty", supplier{}, "-"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ctx := extract(t, tt.carrier)
			if tt.want == "-" {
				if ctx != t.Context() {
					t.Fatalf("Extract returned %v, want the context it was given", ctx)
				}
				return
			}
			sc := trace.SpanContextFromContext(ctx)
			if !sc.IsValid() || !sc.IsRemote() {
				t.Errorf("extracted span context is valid: %t, remote: %t", sc.IsValid(), sc.IsRemote())
			}
			h := inject(ctx)
			if got := h.Get("Traceparent"); got != parent {
				t.Errorf("sent traceparent %q, want %q", got, parent)
			}
			if got := h.Get("Tracestate"); got != tt.want {
				t.Errorf("sent tracestate %q, want %q", got, tt.want)
			}
			if _, ok := h["Tracestate"]; ok && tt.want == "" {
				t.Error("sent an empty tracestate")
			}
		})
	}
}

func TestInvalidNeverReplacesValid(t *testing.T) {
	valid := extract(t, header("Traceparent", parent, "Tracestate", "1a=x"))
	for _, carrier := range []propagation.TextMapCarrier{
		header(), header("Traceparent", "00-bad"), header("Traceparent", parent, "Traceparent", parent), supplier{}, multi{},
	} {
		if ctx := propagator.New().Extract(valid, carrier); ctx != valid {
			t.Errorf("Extract from %v replaced a valid context", carrier)
		}
	}
}

func TestInjectLeavesOneSpelling(t *testing.T) {
	ctx := extract(t, header("Traceparent", parent, "Tracestate", "foo=1"))
	bare := extract(t, header("Traceparent", parent))
	stale := func() http.Header {
		return http.Header{
			"Traceparent": {"old"}, "traceparent": {"old", "old"},
			"Tracestate": {"old=1"}, "tracestate": {"old=1"}, "Accept": {"*"},
		}
	}
	for _, tt := range []struct {
		rule  string
		ctx   context.Context
		lower bool
		want  http.Header
	}{
		{"canonical names", ctx, false, http.Header{"Traceparent": {parent}, "Tracestate": {"foo=1"}, "Accept": {"*"}}},
		{"lower-case names", ctx, true, http.Header{"traceparent": {parent}, "tracestate": {"foo=1"}, "Accept": {"*"}}},
		{"no stale tracestate", bare, false, http.Header{"Traceparent": {parent}, "Accept": {"*"}}},
		{"no stale tracestate, lower-case names", bare, true, http.Header{"traceparent": {parent}, "Accept": {"*"}}},
		{"no context", t.Context(), false, stale()},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h := stale()
			if tt.lower {
				propagator.New().Inject(tt.ctx, lowercase.Carrier(h))
			} else {
				propagator.New().Inject(tt.ctx, propagation.HeaderCarrier(h))
			}
			if !maps.EqualFunc(h, tt.want, slices.Equal) {
				t.Errorf("header is %v, want %v", h, tt.want)
			}
		})
	}
	t.Run("map", func(t *testing.T) {
		m := propagation.MapCarrier{"tracestate": "old=1"}
		propagator.New().Inject(bare, m)
		if want := (propagation.MapCarrier{"traceparent": parent}); !maps.Equal(m, want) {
			t.Errorf("carrier is %v, want %v", m, want)
		}
	})
	t.Run("any carrier", func(t *testing.T) {
		m := supplier{"tracestate": "old=1"}
		propagator.New().Inject(bare, m)
		if want := (supplier{"traceparent": parent, "tracestate": ""}); !maps.Equal(m, want) {
			t.Errorf("carrier is %v, want %v", m, want)
		}
	})
}

// A header may share the slices of its values with another header.
func TestInjectDoesNotWriteIntoOldValues(t *testing.T) {
	old := http.Header{"Traceparent": {"old"}, "Tracestate": {"old=1"}}
	h := maps.Clone(old)
	propagator.New().Inject(extract(t, header("Traceparent", parent, "Tracestate", "foo=1")), propagation.HeaderCarrier(h))
	h["Traceparent"] = append(h["Traceparent"], "more")
	if old["Traceparent"][0] != "old" || old["Tracestate"][0] != "old=1" || h["Tracestate"][0] != "foo=1" {
		t.Errorf("old header is %v, new one %v", old, h)
	}
}

func TestFlagsSent(t *testing.T) {
	id := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}
	for flags, want := range map[trace.TraceFlags]string{0: "00", 1: "01", 2: "02", 3: "03", 0xff: "03", 0x04: "00"} {
		id.TraceFlags = flags
		h := inject(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(id)))
		if got := h.Get("Traceparent"); !strings.HasSuffix(got, "-"+want) {
			t.Errorf("flags %02x were sent as %q, want %s", byte(flags), got, want)
		}
	}
}

func TestMaxTracestate(t *testing.T) {
	big := "big=" + strings.Repeat("x", 200)
	long := big + ",1a=x," + strings.Repeat("y", 250) + "=1," + strings.Repeat("z", 250) + "=1,foo=1"
	for _, tt := range []struct {
		rule string
		opts []propagator.Option
		want string
	}{
		{"all without the option", nil, long},
		{"what fits", []propagator.Option{propagator.WithMaxTracestate(len(long))}, long},
		{"large members from the end go first", []propagator.Option{propagator.WithMaxTracestate(len(long) - 1)}, big + ",1a=x," + strings.Repeat("y", 250) + "=1,foo=1"},
		{"never below 512", []propagator.Option{propagator.WithMaxTracestate(1)}, big + ",1a=x," + strings.Repeat("y", 250) + "=1,foo=1"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ctx := extract(t, header("Traceparent", parent, "Tracestate", long))
			if got := inject(ctx, tt.opts...).Get("Tracestate"); got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNilContext(t *testing.T) {
	var ctx context.Context
	if h := inject(ctx); len(h) != 0 {
		t.Errorf("sent %v without a context", h)
	}
}

func TestFields(t *testing.T) {
	if got := propagator.New().Fields(); !slices.Equal(got, []string{"traceparent", "tracestate"}) {
		t.Errorf("Fields() = %q", got)
	}
}
