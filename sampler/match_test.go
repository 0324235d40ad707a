package sampler_test

import (
	"regexp"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/sampler"
)

func TestMatch(t *testing.T) {
	attrs := []attribute.KeyValue{
		attribute.String("http.request.method", "GET"),
		attribute.String("http.route", "/users/{id}"),
		attribute.Int("http.response.status_code", 503),
		attribute.Bool("cached", true),
		attribute.Float64("score", 0.5),
		attribute.StringSlice("tags", []string{"a", "b"}),
		attribute.String("twice", "first"),
		attribute.String("twice", "last"),
	}
	withAttr := func(key attribute.Key, pattern string) sampler.Match {
		return sampler.Match{Attributes: map[attribute.Key]string{key: pattern}}
	}
	for _, c := range []struct {
		name  string
		match sampler.Match
		want  bool
	}{
		{"zero", sampler.Match{}, true},
		{"exact name", sampler.Match{Name: "GET /users/{id}"}, true},
		{"other name", sampler.Match{Name: "GET /users"}, false},
		{"name is case-sensitive", sampler.Match{Name: "get /users/{id}"}, false},
		{"prefix", sampler.Match{Name: "GET *"}, true},
		{"suffix", sampler.Match{Name: "*/{id}"}, true},
		{"middle", sampler.Match{Name: "G*users*}"}, true},
		{"star alone", sampler.Match{Name: "*"}, true},
		{"kind", sampler.Match{Kind: trace.SpanKindServer}, true},
		{"other kind", sampler.Match{Kind: trace.SpanKindClient}, false},
		{"remote parent", sampler.Match{Parent: sampler.RemoteParent}, true},
		{"root", sampler.Match{Parent: sampler.NoParent}, false},
		{"not root", sampler.Match{Parent: sampler.LocalParent | sampler.RemoteParent}, true},
		{"string attribute", withAttr("http.request.method", "GET"), true},
		{"attribute glob", withAttr("http.route", "/users/*"), true},
		{"number", withAttr("http.response.status_code", "503"), true},
		{"number glob", withAttr("http.response.status_code", "5??"), true},
		{"other number", withAttr("http.response.status_code", "4*"), false},
		{"truth value", withAttr("cached", "true"), true},
		{"decimal number", withAttr("score", "0.5"), true},
		{"slice as JSON", withAttr("tags", `["a","b"]`), true},
		{"absent attribute", withAttr("url.path", "*"), false},
		{"empty pattern wants an empty value", withAttr("http.route", ""), false},
		{"last of equal keys", withAttr("twice", "last"), true},
		{"all must hold", sampler.Match{Name: "GET *", Kind: trace.SpanKindClient}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.match.Compile()
			if got := m.Matches("GET /users/{id}", trace.SpanKindServer, sampler.RemoteParent, attrs); got != c.want {
				t.Errorf("%v: got %v, want %v", c.match, got, c.want)
			}
		})
	}
}

func TestMatchingDoesNotAllocate(t *testing.T) {
	m := sampler.Match{Name: "G?T *", Attributes: map[attribute.Key]string{"code": "5*", "ok": "true", "score": "*"}}.Compile()
	attrs := []attribute.KeyValue{attribute.Int("code", 503), attribute.Bool("ok", true), attribute.Float64("score", 0.123456)}
	if n := testing.AllocsPerRun(100, func() {
		if !m.Matches("GET /", trace.SpanKindServer, sampler.NoParent, attrs) {
			t.Fatal("no match")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// referenceGlob translates a pattern to a regular expression.
func referenceGlob(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			b.WriteString(".*")
		case c == '?':
			b.WriteString(".")
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func FuzzMatchName(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "aXbYc"}, {"*", ""}, {`\*`, "*"}, {`a\`, `a\`}, {"*a*a*a", "aaaaaaaa"}, {"?", "ä"}, {"GET *", "GET /x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		// The reference is written for whole characters.
		if pattern == "" || !isASCII(pattern) || strings.ToValidUTF8(name, "") != name {
			return
		}
		m := sampler.Match{Name: pattern}.Compile()
		want := referenceGlob(pattern).MatchString(name)
		if got := m.Matches(name, 0, sampler.NoParent, nil); got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, name, got, want)
		}
	})
}

// TestLongTexts: of a text that a peer makes very long, a glob looks at the
// beginning, and at the end for the plain text behind its last star.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("/a", 450_000)
	for pattern, want := range map[string]bool{
		"/a/*": true, "*": true, "*/b": false, "*?b": false, "*/a*/a?a*": true, "*a?a*b": false, `*\b`: false, long: true, long + "*": true, "*" + long[:4000]: true,
		"*/a": true, "/a*/a": true, "/a?a*/a": true, "/b*/a": false, "*b*/a": false, "*b": false, "*" + long: true, "*/" + long: false,
		strings.Repeat("?", 8<<10): false, strings.Repeat("?", 8<<10) + "*": true, strings.Repeat("?", 8<<10) + "*/a": true,
		strings.Repeat("?", 8<<10) + "**b": false, "*?/a": false,
	} {
		m := sampler.Match{Name: pattern}.Compile()
		if got := m.Matches(long, 0, sampler.NoParent, nil); got != want {
			t.Errorf("%.20q on %d bytes: got %v, want %v", pattern, len(long), got, want)
		}
	}
	tail := strings.Repeat("x", 8<<10-1)
	m := sampler.Match{Name: "*?y"}.Compile()
	if m.Matches(tail+"xy", 0, sampler.NoParent, nil) {
		t.Error("looked beyond 8 KiB")
	}
	if !m.Matches(tail+"y", 0, sampler.NoParent, nil) {
		t.Error("did not look at 8 KiB")
	}
}

// BenchmarkLongText is what one glob takes for a text of 900 kB.
func BenchmarkLongText(b *testing.B) {
	m := sampler.Match{Attributes: map[attribute.Key]string{"url.path": "*/a/*/b?/*"}}.Compile()
	attrs := []attribute.KeyValue{attribute.String("url.path", strings.Repeat("/a", 450_000))}
	for b.Loop() {
		m.Matches("", 0, sampler.NoParent, attrs)
	}
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func TestRulesFirstMatchWins(t *testing.T) {
	health := sampler.Match{Name: "GET /healthz"}
	s := sampler.New(sampler.Rules(
		sampler.Rule{Match: health, When: func(p sampler.Parameters) bool { return p.Kind == trace.SpanKindClient }, Sampler: sampler.AlwaysOn()},
		sampler.Rule{Match: health},
		sampler.Rule{Match: sampler.Match{Attributes: map[attribute.Key]string{"url.path": "/checkout"}}, Sampler: sampler.AlwaysOn()},
		sampler.Rule{Match: sampler.Match{Name: "GET *"}, Sampler: sampler.Probability(0.5)},
	))
	checkout := []attribute.KeyValue{attribute.String("url.path", "/checkout")}
	for _, c := range []struct {
		span  string
		kind  trace.SpanKind
		attrs []attribute.KeyValue
		state string
	}{
		{"GET /healthz", trace.SpanKindServer, checkout, ""},
		{"GET /healthz", trace.SpanKindClient, nil, "ot=th:0"},
		{"POST /", trace.SpanKindServer, checkout, "ot=th:0"},
		{"GET /x", trace.SpanKindServer, nil, "ot=th:8"},
		{"POST /x", trace.SpanKindServer, nil, ""},
	} {
		got := s.ShouldSample(sdktrace.SamplingParameters{TraceID: traceID(high), Name: c.span, Kind: c.kind, Attributes: c.attrs})
		if got.Tracestate.String() != c.state || (got.Decision == sdktrace.RecordAndSample) != (c.state != "") {
			t.Errorf("%s %s %v: got %v, %q, want %q", c.kind, c.span, c.attrs, got.Decision, got.Tracestate, c.state)
		}
	}
}
