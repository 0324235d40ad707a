package tracecontext_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clewtrace/clew/tracecontext"
)

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	tp := tracecontext.MustParseTraceparent(sample)
	ts := parse(t, members(32))
	buf := make([]byte, 0, 1024)
	for _, tt := range []struct {
		name string
		want float64
		f    func()
	}{
		{"ParseTraceparent", 0, func() { _, _ = tracecontext.ParseTraceparent(sample) }},
		{"ParseTraceparent, invalid", 0, func() { _, _ = tracecontext.ParseTraceparent(sample + "-") }},
		{"NewTraceparent", 0, func() { tracecontext.NewTraceparent() }},
		{"Child", 0, func() { tp.Child() }},
		{"Traceparent.AppendText", 0, func() { _, _ = tp.AppendText(buf) }},
		{"Traceparent.String", 1, func() { _ = tp.String() }},
		{"ParseTracestate, 2 members", 0, func() { _, _ = tracecontext.ParseTracestate("foo=1,bar=2") }},
		{"ParseTracestate, 32 members", 0, func() { _, _ = tracecontext.ParseTracestate(ts.String()) }},
		{"ParseTracestate, whitespace", 1, func() { _, _ = tracecontext.ParseTracestate("foo=1, bar=2") }},
		{"ParseTracestate, invalid", 1, func() { _, _ = tracecontext.ParseTracestate("foo=1,Bar=2") }},
		{"ParseTracestate, two fields", 1, func() { _, _ = tracecontext.ParseTracestate("foo=1", "bar=2") }},
		{"Get", 0, func() { ts.Get("k31") }},
		{"All", 0, func() {
			for k := range ts.All() {
				_ = k
			}
		}},
		{"Tracestate.String", 0, func() { _ = ts.String() }},
		{"Tracestate.AppendText", 0, func() { _, _ = ts.AppendText(buf) }},
		{"Truncate, nothing to cut", 0, func() { ts.Truncate(1000) }},
		{"Delete, nothing there", 0, func() { ts.Delete("x") }},
		{"Set, new", 1, func() { _, _ = ts.Set("x", "1") }},
		{"Set, in the list", 2, func() { _, _ = ts.Set("k05", "1") }},
	} {
		if got := testing.AllocsPerRun(100, tt.f); got != tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}

// TestInlining asks the compiler. ParseTraceparent matters most: if it is inlined, a
// caller that drops its error makes no allocation for it.
func TestInlining(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package")
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var got []string
	for _, m := range regexp.MustCompile(`(?m): can inline (\S+)$`).FindAllStringSubmatch(string(out), -1) {
		got = append(got, m[1])
	}
	for _, want := range []string{
		"ParseTraceparent", "TraceparentFrom", "hex2", "hex8", "notHex", "fromHex", "putHex8", "newParentID",
		"Traceparent.TraceID", "Traceparent.ParentID", "Traceparent.Flags", "Traceparent.IsValid",
		"Traceparent.IsSampled", "Traceparent.IsRandom", "Traceparent.WithSampled",
		"Tracestate.Len", "Tracestate.All", "Tracestate.String", "Tracestate.AppendText",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not inlined", want)
		}
	}
}

func TestNewTraceparent(t *testing.T) {
	seen := map[any]bool{}
	for range 1000 {
		tp := tracecontext.NewTraceparent()
		child := tp.Child()
		if !tp.IsValid() || !tp.IsSampled() || !tp.IsRandom() || tp.Flags() != tracecontext.FlagSampled|tracecontext.FlagRandom {
			t.Fatalf("NewTraceparent() = %q", tp)
		}
		if child.TraceID() != tp.TraceID() || child.Flags() != tp.Flags() || !child.IsValid() {
			t.Fatalf("%q has the child %q", tp, child)
		}
		for _, id := range []any{tp.TraceID(), tp.ParentID(), child.ParentID()} {
			if seen[id] {
				t.Fatalf("id %x occurs twice", id)
			}
			seen[id] = true
		}
	}
}

func TestTraceparentValues(t *testing.T) {
	tp := tracecontext.MustParseTraceparent(sample)
	if got := tp.WithSampled(false); got.String() != strings.TrimSuffix(sample, "1")+"0" || got.IsSampled() || got.WithSampled(true) != tp {
		t.Errorf("WithSampled(false) = %q", got)
	}
	if got := tracecontext.TraceparentFrom(tp.TraceID(), tp.ParentID(), 0xff); got.Flags() != 3 || got.String() != sample[:54]+"3" {
		t.Errorf("flags ff become %02x, text %q", got.Flags(), got)
	}
	for name, invalid := range map[string]tracecontext.Traceparent{
		"zero value":   {},
		"no trace id":  tracecontext.TraceparentFrom([16]byte{}, tp.ParentID(), 1),
		"no parent id": tracecontext.TraceparentFrom(tp.TraceID(), [8]byte{}, 1),
	} {
		text, err := invalid.MarshalText()
		if invalid.IsValid() || invalid.String() != "" || len(text) != 0 || err != nil {
			t.Errorf("%s: valid: %t, text %q", name, invalid.IsValid(), invalid)
		}
	}
	if (tracecontext.Traceparent{}).Child().IsValid() {
		t.Error("the zero value has a valid child")
	}
	defer func() {
		if recover() == nil {
			t.Error("MustParseTraceparent did not panic")
		}
	}()
	tracecontext.MustParseTraceparent("x")
}

func TestTextForms(t *testing.T) {
	type job struct {
		Parent tracecontext.Traceparent
		State  tracecontext.Tracestate
	}
	for _, text := range []string{
		`{"Parent":"` + sample + `","State":"1a=x,foo=1"}`,
		`{"Parent":"","State":""}`,
	} {
		var j job
		if err := json.Unmarshal([]byte(text), &j); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(j); err != nil || string(got) != text {
			t.Errorf("%s became %s, %v", text, got, err)
		}
	}
	j := job{Parent: tracecontext.MustParseTraceparent(sample), State: parse(t, "a=1")}
	before := j
	if err := j.Parent.UnmarshalText([]byte("x")); err == nil || j != before {
		t.Errorf("invalid text set the traceparent to %q, error %v", j.Parent, err)
	}
	if err := j.State.UnmarshalText([]byte("x")); err == nil || j != before {
		t.Errorf("invalid text set the tracestate to %q, error %v", j.State, err)
	}
}
