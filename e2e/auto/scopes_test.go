package auto_test

import (
	"cmp"
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// silent returns the address of a server that accepts and does not answer.
func silent(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// shapes returns what each trace looks like, such as
// "client GET(server GET /a(client GET(server GET)))", and how many look so.
// A trace that is linked has "linked" in front.
func shapes(spans []otlpreceiver.Span) map[string]int {
	children := map[string][]otlpreceiver.Span{}
	for _, s := range spans {
		children[string(s.GetTraceId())+string(s.GetParentSpanId())] = append(children[string(s.GetTraceId())+string(s.GetParentSpanId())], s)
	}
	var draw func(s otlpreceiver.Span) string
	draw = func(s otlpreceiver.Span) string {
		text := strings.ToLower(strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")) + " " + s.GetName()
		if len(s.GetLinks()) > 0 {
			text = "linked " + text
		}
		var below []string
		for _, c := range children[string(s.GetTraceId())+string(s.GetSpanId())] {
			below = append(below, draw(c))
		}
		if len(below) > 0 {
			slices.Sort(below)
			text += "(" + strings.Join(below, ", ") + ")"
		}
		return text
	}
	counts := map[string]int{}
	for _, s := range spans {
		if len(s.GetParentSpanId()) == 0 {
			counts[draw(s)]++
		}
	}
	return counts
}

// TestScopes makes 3,000 requests at the same time, each with three goroutines
// that call an upstream without a context, under the race detector; and uses
// timers and worker pools.
func TestScopes(t *testing.T) { testScopes(t, "-race") }

func testScopes(t *testing.T, flags ...string) {
	t.Helper()
	const requests = 3000
	path := build(t, module(t, "scopes"), flags...)
	c := newCollector(t)
	if p := c.start(t, path, []string{strconv.Itoa(requests)}); p.Wait(t, 3*limit) != 0 || strings.Contains(p.Stderr(), "DATA RACE") {
		t.Fatal("the program failed")
	}
	const up = "client GET(server GET)"
	got, want := shapes(c.Spans()), map[string]int{
		"client GET(server GET /fan/{id}(" + up + ", " + up + ", " + up + "))": requests,
		"client GET(server GET /timers(" + up + ", " + up + "))":               1,
		"client GET(server GET /pull(" + up + "))":                             1,
		"client GET(server GET /early)":                                        1,
		up:                                                                     1, // of a worker that belongs to nothing
		"client GET(server GET /late(" + up + "))":                             1,
		"client GET(server GET /late)":                                         1,
		"client GET(server GET /outlives)":                                     1,
		"client GET(server GET /timers-outlive)":                               1,
		"linked " + up:                                                         4, // of the second late one, and of what outlives
		"client GET(server GET /panics)":                                       1,
	}
	for _, shape := range slices.Sorted(keys(got, want)) {
		if got[shape] != want[shape] {
			t.Errorf("%d traces, want %d: %s", got[shape], want[shape], shape)
		}
	}
	checkIDs(t, c.Spans())
}

// checkIDs holds that the spans of one request are in one trace.
func checkIDs(t *testing.T, spans []otlpreceiver.Span) {
	t.Helper()
	requests := map[string]string{}
	for _, s := range spans {
		path := otlpreceiver.Attribute(s.GetAttributes(), "url.path").GetStringValue()
		id, _, ok := strings.Cut(cmp.Or(trimmed(path, "/up/"), trimmed(path, "/fan/")), "/")
		if s.GetKind() != tracepb.Span_SPAN_KIND_SERVER || (!ok && !strings.HasPrefix(path, "/fan/")) {
			continue
		}
		trace := hex.EncodeToString(s.GetTraceId())
		if before := requests[id]; before != "" && before != trace {
			t.Errorf("request %s has spans in the traces %s and %s", id, before, trace)
		}
		requests[id] = trace
	}
}

func trimmed(s, prefix string) string {
	rest, _ := strings.CutPrefix(s, prefix)
	if rest == s {
		return ""
	}
	return rest
}

func keys(maps ...map[string]int) func(func(string) bool) {
	all := map[string]bool{}
	for _, m := range maps {
		for k := range m {
			all[k] = true
		}
	}
	return func(yield func(string) bool) {
		for k := range all {
			if !yield(k) {
				return
			}
		}
	}
}
