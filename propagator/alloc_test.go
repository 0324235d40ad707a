package propagator_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/lowercase"
	"github.com/clewtrace/clew/propagator"
)

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
	ctx := t.Context()
	out := http.Header{}
	p := propagator.New()
	extracting := func(c propagation.TextMapCarrier) func() {
		return func() { p.Extract(ctx, c) }
	}
	injecting := func(c propagation.TextMapCarrier) func() {
		ctx := propagation.TraceContext{}.Extract(ctx, c)
		return func() { p.Inject(ctx, propagation.HeaderCarrier(out)) }
	}
	sending := func(ctx context.Context) func() {
		return func() { p.Inject(ctx, propagation.HeaderCarrier(out)) }
	}
	child := func(ctx context.Context) context.Context {
		ctx, span := sdktrace.NewTracerProvider().Tracer("").Start(ctx, "child")
		t.Cleanup(func() { span.End() })
		return ctx
	}
	others := func(fields ...string) propagation.HeaderCarrier { // 8 fields beside these, as a browser sends
		return header(append(fields, "Accept", "*/*", "Accept-Encoding", "gzip", "Authorization", "Bearer x", "Content-Length", "2",
			"Content-Type", "application/json", "User-Agent", "x", "X-Forwarded-For", "10.0.0.1", "X-Request-Id", "1")...)
	}
	seen, seenLevel2 := header("Traceparent", parent, "Tracestate", state), header("Traceparent", parent, "Tracestate", "1a=x,foo=1")
	for range 2 {
		w3c.Extract(ctx, seen)
		w3c.Extract(ctx, seenLevel2)
	}
	remote, among := w3c.Extract(ctx, seen), others()
	for _, tt := range []struct {
		name string
		want float64
		f    func()
	}{
		{"Extract, no header", 0, extracting(header())},
		{"Extract, no trace header among 8 fields", 0, extracting(others())},
		{"Extract, invalid traceparent", 0, extracting(header("Traceparent", parent+"-"))},
		{"Extract, two traceparent fields", 0, extracting(header("Traceparent", parent, "Traceparent", parent))},
		{"Extract, traceparent", 1, extracting(header("Traceparent", parent))},
		{"Extract, lower-case names", 1, extracting(header("traceparent", parent))},
		{"Extract, traceparent and 8 other fields", 1, extracting(others("Traceparent", parent))},
		{"Extract, tracestate seen before", 1, extracting(header("Traceparent", parent, "Tracestate", state))},
		{"Extract, tracestate seen before, Level 2 keys", 1, extracting(header("Traceparent", parent, "Tracestate", "1a=x,foo=1"))},
		{"Extract, tracestate seen before, invalid", 1, extracting(header("Traceparent", parent, "Tracestate", "FOO"))},
		{"Extract, map", 1, extracting(propagation.MapCarrier{"traceparent": parent, "tracestate": state})},
		{"Inject, traceparent", 1, injecting(header("Traceparent", parent))},
		{"Inject, 2 members", 2, injecting(header("Traceparent", parent, "Tracestate", state))},
		{"Inject, 8 other fields", 1, func() { p.Inject(remote, among) }},
		{"Inject, 8 other fields, lower-case names", 1, func() { p.Inject(remote, lowercase.Carrier(among)) }},
		{"Inject, no context", 0, injecting(header())},
		{"Inject, remote span", 1, sending(w3c.Extract(ctx, seen))},
		{"Inject, child span", 1, sending(child(w3c.Extract(ctx, seen)))},
		{"Inject, child span, Level 2 keys", 1, sending(child(w3c.Extract(ctx, seenLevel2)))},
	} {
		for range 4 {
			tt.f() // what is seen for the second time is remembered
		}
		clear(out)
		tt.f() // a reused header
		if got := testing.AllocsPerRun(100, tt.f); got != tt.want {
			t.Errorf("%s: %v allocations, want %v", tt.name, got, tt.want)
		}
	}
	for _, members := range []int{2, 5, 32} {
		unseen := func(p propagation.TextMapPropagator) float64 {
			n := 0
			return testing.AllocsPerRun(200, func() {
				n++
				p.Extract(ctx, header("Traceparent", parent, "Tracestate", fmt.Sprintf("n=%d,%s", n, numbered(2, members))))
			})
		}
		if ours, stock := unseen(p), unseen(propagation.TraceContext{}); ours > stock {
			t.Errorf("tracestate of %d members, never seen: %v allocations, stock has %v", members, ours, stock)
		}
	}
}

// Extract drops the error of ParseTraceparent. That takes no allocation only if the
// compiler inlines ParseTraceparent there.
func TestInlining(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the package")
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"inlining call to tracecontext.ParseTraceparent", "can inline traceparentOf",
		"can inline (*received).partial", "can inline (*remoteSpan).SpanContext", "inlining call to boundary.From",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the compiler does not say %q", want)
		}
	}
}

// BenchmarkHostile shows that the cost is at most linear in the size of the input:
// ns/KiB must not grow with the size.
func BenchmarkHostile(b *testing.B) {
	for _, in := range []struct {
		name  string
		state func(n int) string
	}{
		{"empty members", func(n int) string { return strings.Repeat(" ,", n/2) }},
		{"one key", func(n int) string { return strings.Repeat("k", n) }},
		{"one value", func(n int) string { return "k=" + strings.Repeat("v", n) }},
		{"many members", func(n int) string { return strings.Repeat("k=v,", n/4) }},
		{"spaces", func(n int) string { return strings.Repeat(" ", n) }},
		{"NUL", func(n int) string { return strings.Repeat("\x00", n) }},
		{"non-ASCII", func(n int) string { return strings.Repeat("k=\xc3\xa9,", n/5) }},
	} {
		for _, size := range []int{1 << 14, 1 << 17, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", in.name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				h := header("Traceparent", parent, "Tracestate", in.state(size))
				for b.Loop() {
					w3c.Extract(context.Background(), h)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size>>10), "ns/KiB")
			})
		}
	}
	for _, n := range []int{100, 1000, 10000} {
		for name, field := range map[string]func(int) (string, string){
			"tracestate fields":  func(int) (string, string) { return "Tracestate", "" },
			"traceparent fields": func(int) (string, string) { return "Traceparent", parent },
			"other fields":       func(i int) (string, string) { return fmt.Sprintf("X-%d", i), "x" },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				h := header("Traceparent", parent)
				for i := range n {
					k, v := field(i)
					h[k] = append(h[k], v)
				}
				for b.Loop() {
					w3c.Extract(context.Background(), h)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/field")
			})
		}
	}
}
