package propagator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/tracecontext"
)

// stockDiffers returns the rules that the stock propagator breaks for these fields.
// They are the rows of the table in docs/propagation.md. If there are none, stock must
// do the same as ours.
func stockDiffers(parents, states []string) (rules []string) {
	add := func(rule string, broken bool) {
		if broken {
			rules = append(rules, rule)
		}
	}
	first := parents[0]
	value := strings.Trim(first, " \t")
	add("two traceparent fields", len(parents) > 1)
	add("whitespace around traceparent", value != first)
	add("one trailing dash in version 00", len(value) == 56 && value[55] == '-')
	add("unknown flags in version 00", len(value) == 55 && strings.HasPrefix(value, "00-") && (value[53] != '0' || value[54] > '3'))
	add("several tracestate fields", len(states) > 1)
	if len(states) == 0 {
		return rules
	}
	var keys []string
	for m := range strings.SplitSeq(states[0], ",") {
		key, _, _ := strings.Cut(strings.Trim(m, " \t"), "=")
		_, err := trace.TraceState{}.Insert(key, "1")
		add("blank members", m != "" && key == "")
		add("Level 2 keys", err != nil)
		add("duplicate keys", slices.Contains(keys, key))
		keys = append(keys, key)
	}
	return rules
}

// FuzzExtract compares Extract and Inject with the codec, and with the stock
// propagator where that follows the Recommendation.
func FuzzExtract(f *testing.F) {
	for _, tp := range []string{
		parent, parent + "-", parent[:53] + "ff", parent[:53] + "04", "01" + parent[2:], "cc" + parent[2:] + "-more", "ff" + parent[2:], " " + parent + "\t", "", "00-",
		parent[:3] + strings.Repeat("0", 32) + parent[35:], strings.ToUpper(parent), parent + "," + parent, parent[:20] + "\x00" + parent[21:], parent[:20] + "\xff" + parent[21:],
	} {
		f.Add(tp, "", "foo=1", "")
		f.Add(tp, parent, "foo=1", "bar=2")
	}
	for _, ts := range []string{
		"foo=1,bar=2", "foo=1,,bar=2", "foo=1, ,bar=2", " foo=1 ,\tbar=2\t", "1a=x,foo=1", "foo@=1", "a@b@c=1", "foo=1,foo=2", "foo= 1", "foo=1=2", "foo", "Foo=1",
		numbered(1, 32), numbered(1, 33), "a=" + strings.Repeat("x", 256), strings.Repeat("k", 256) + "=1", strings.Repeat("t", 242) + "@v=1", "foo=\x00", "foo=\xc3\xa9", "ot=th:fd70a4",
	} {
		f.Add(parent, "", ts, "")
		f.Add(parent, "", "", ts)
		f.Add(parent, "", ts, "zzz=1")
	}
	f.Fuzz(func(t *testing.T, tp, tp2, ts, ts2 string) {
		h := propagation.HeaderCarrier{"Traceparent": {tp}}
		if tp2 != "" {
			h["Traceparent"] = append(h["Traceparent"], tp2)
		}
		if ts != "" || ts2 != "" {
			h["Tracestate"] = []string{ts}
		}
		if ts2 != "" {
			h["Tracestate"] = append(h["Tracestate"], ts2)
		}
		before := http.Header(h).Clone()
		ctx := w3c.Extract(t.Context(), h)
		got := trace.SpanContextFromContext(ctx)
		sent := inject(ctx)

		want := http.Header{}
		if wantParent, err := tracecontext.ParseTraceparent(strings.Trim(tp, " \t")); err == nil && tp2 == "" {
			want["Traceparent"] = []string{wantParent.String()}
			if wantState, err := tracecontext.ParseTracestate(h["Tracestate"]...); err == nil && wantState.Len() > 0 {
				want["Tracestate"] = []string{wantState.String()}
			}
		}
		if !equal(sent, want) {
			t.Fatalf("received %q, sent %q, want %q", h, sent, want)
		}
		if !equal(http.Header(h), before) {
			t.Fatalf("Extract changed %q to %q", before, h)
		}

		stock := propagation.TraceContext{}
		stockCtx := stock.Extract(t.Context(), h)
		stockSent := propagation.HeaderCarrier{}
		stock.Inject(stockCtx, stockSent)
		agree := got.Equal(trace.SpanContextFromContext(stockCtx)) && equal(sent, http.Header(stockSent))
		if !agree && len(stockDiffers(h["Traceparent"], h["Tracestate"])) == 0 {
			t.Fatalf("received %q, sent %q; stock sends %q, and no rule says why", h, sent, stockSent)
		}
		mapped := propagation.MapCarrier{}
		w3c.Inject(stockCtx, mapped)
		stockMapped := propagation.MapCarrier{}
		stock.Inject(stockCtx, stockMapped)
		if mapped["traceparent"] != stockMapped["traceparent"] || mapped["tracestate"] != stockMapped["tracestate"] {
			t.Fatalf("for the same SpanContext stock sends %q, we %q", stockMapped, mapped)
		}
	})
}

func equal(a, b http.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// TestStockDiffers shows each difference listed in docs/propagation.md.
func TestStockDiffers(t *testing.T) {
	for rule, h := range map[string]propagation.HeaderCarrier{
		"two traceparent fields":          header("Traceparent", parent, "Traceparent", parent),
		"whitespace around traceparent":   header("Traceparent", " "+parent),
		"one trailing dash in version 00": header("Traceparent", parent+"-"),
		"unknown flags in version 00":     header("Traceparent", parent[:53]+"ff"),
		"several tracestate fields":       header("Traceparent", parent, "Tracestate", "foo=1", "Tracestate", "bar=2"),
		"blank members":                   header("Traceparent", parent, "Tracestate", "foo=1, ,bar=2"),
		"Level 2 keys":                    header("Traceparent", parent, "Tracestate", "foo=1,1a=x"),
		"duplicate keys":                  header("Traceparent", parent, "Tracestate", "foo=1,foo=2"),
	} {
		t.Run(rule, func(t *testing.T) {
			if got := stockDiffers(h["Traceparent"], h["Tracestate"]); !slices.Contains(got, rule) {
				t.Errorf("%q is of the rules %q", h, got)
			}
			stockSent := propagation.HeaderCarrier{}
			propagation.TraceContext{}.Inject(propagation.TraceContext{}.Extract(t.Context(), h), stockSent)
			if sent := inject(w3c.Extract(t.Context(), h)); equal(sent, http.Header(stockSent)) {
				t.Errorf("%q: stock sends %q as well; it is no difference any more", h, sent)
			}
		})
	}
}

// FuzzHeader extracts from any header. That must not panic, and must find what the
// codec finds in the one traceparent field, if there is one.
func FuzzHeader(f *testing.F) {
	f.Add("Traceparent: " + parent + "\ntracestate: foo=1\nTRACESTATE: bar=2")
	f.Add("traceparent: " + parent + "\nTraceparent: " + parent)
	f.Add("TraceParent:" + parent + "\nAccept: *\n: \n\x00: \xff")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		h := http.Header{}
		var parents []string
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, ":")
			h[name] = append(h[name], value)
			if name == "traceparent" || name == "Traceparent" {
				parents = append(parents, value)
			}
		}
		ctx := w3c.Extract(t.Context(), propagation.HeaderCarrier(h))
		want := ""
		if len(parents) == 1 {
			tp, _ := tracecontext.ParseTraceparent(strings.Trim(parents[0], " \t"))
			want = tp.String()
		}
		w3c.Inject(ctx, propagation.HeaderCarrier(h))
		if want == "" {
			return
		}
		var sent []string
		for name, values := range h {
			if name == "traceparent" || name == "Traceparent" {
				sent = append(sent, values...)
			}
		}
		if !slices.Equal(sent, []string{want}) {
			t.Fatalf("%q: sent %q, want %q", text, sent, want)
		}
	})
}
