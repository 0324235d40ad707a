package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/tracecontext"
)

// What the first service is sent. levelTwo has a key that only Level 2 of the
// Recommendation allows.
const (
	ourState   = "clew=t1,tenant@clew=x"
	levelTwo   = "1a@b@c=level2,clew=t1"
	ourBaggage = "tenant=blue"
)

// enter sends a request with a context to the route and returns that, too.
func enter(t *testing.T, sampled bool, state string, route ...string) (tracecontext.Traceparent, []record) {
	t.Helper()
	sent := tracecontext.NewTraceparent().WithSampled(sampled)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	records, err := visit(t.Context(), client, strings.Join(route, ","),
		"traceparent", sent.String(), "tracestate", state, "baggage", ourBaggage)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != len(route) {
		t.Fatalf("%d services answered, want %d", len(records), len(route))
	}
	for i, r := range records {
		t.Logf("%c %s: %+v", 'A'+i, route[i], r)
	}
	return sent, records
}

// through sends traces from a service of ours over one of theirs to another of
// ours, and from there on, to see what it sends.
func (h *house) through(t *testing.T, theirs string) outcome {
	t.Helper()
	last := httptest.NewUnstartedServer(endpoint())
	last.Config.Protocols = h.protocols()
	last.Start()
	defer last.Close()
	route := []string{h.service(t), theirs, h.service(t), last.URL}

	sent, records := enter(t, true, ourState, route...)
	a, b, c, d := records[0], records[1], records[2], records[3]
	spans := h.spans(t, a.TraceID, &b)
	client := childOf(spans, a.SpanID)
	parent := hexID(spans[c.SpanID].GetParentSpanId())
	made := parent != "" && parent != client && parent != a.SpanID
	if h.shared && made { // then the store tells who made the request
		call := record{SpanID: parent}
		h.spans(t, a.TraceID, &call)
		made = call.ParentID == b.SpanID
	}
	got := outcome{
		traceID:       b.TraceID == a.TraceID && c.TraceID == a.TraceID,
		parentID:      client != "" && b.ParentID == client && made,
		sampledFlag:   b.Sampled && c.Sampled,
		randomFlag:    flagsOf(t, d)&tracecontext.FlagRandom != 0 && c.TraceID == a.TraceID,
		traceState:    hasMembers(t, d, ourState) && slices.Equal(c.Received["Tracestate"], d.Received["Tracestate"]),
		baggageHeader: slices.Contains(strings.Split(strings.Join(d.Received["Baggage"], ","), ","), ourBaggage),
	}
	if id := sent.TraceID(); a.TraceID != hexID(id[:]) {
		t.Fatalf("the first service did not continue trace %s", sent)
	}

	_, records = enter(t, false, levelTwo, route...)
	if records[0].Sampled {
		t.Fatal("the first service did not respect its parent")
	}
	got[sampledFlag] = got[sampledFlag] && !records[1].Sampled && !records[2].Sampled
	got[levelTwoKeys] = hasMembers(t, records[3], levelTwo)
	return got.ofTrace()
}

// back lets their service start a trace, which comes back to it over ours.
func (h *house) back(t *testing.T, theirs string) outcome {
	t.Helper()
	ours := h.service(t)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	records, err := visit(context.Background(), client, strings.Join([]string{theirs, ours, theirs}, ","))
	if err != nil {
		t.Fatal(err)
	}
	b, c, again := records[0], records[1], records[2]
	for _, r := range records {
		t.Logf("%+v", r)
	}
	spans := h.spans(t, c.TraceID, &b, &again)
	got := outcome{
		traceID:     c.TraceID == b.TraceID && again.TraceID == b.TraceID,
		parentID:    hexID(spans[c.SpanID].GetParentSpanId()) != "" && childOf(spans, c.SpanID) != "" && again.ParentID == childOf(spans, c.SpanID),
		sampledFlag: c.Sampled == b.Sampled && again.Sampled == b.Sampled,
	}
	if before := c.Received["Traceparent"]; before != nil {
		got[randomFlag] = flagsOf(t, c)&tracecontext.FlagRandom == flagsOf(t, again)&tracecontext.FlagRandom
	}
	if before := c.Received["Tracestate"]; before != nil {
		got[traceState] = slices.Equal(before, again.Received["Tracestate"])
	}
	if before := c.Received["Baggage"]; before != nil {
		got[baggageHeader] = hasAll(again.Received["Baggage"], before)
	}
	return got.ofTrace()
}

// ofTrace leaves out what means nothing when the traces are different ones.
func (o outcome) ofTrace() outcome {
	if !o[traceID] {
		delete(o, sampledFlag)
		delete(o, randomFlag)
	}
	return o
}

// childOf returns the id of the client span that is the child of a span.
func childOf(spans map[string]span, parent string) string {
	for id, s := range spans {
		if hexID(s.GetParentSpanId()) == parent && s.GetKind() == tracepb.Span_SPAN_KIND_CLIENT {
			return id
		}
	}
	return ""
}

func flagsOf(t *testing.T, r record) tracecontext.Flags {
	t.Helper()
	tp, err := tracecontext.ParseTraceparent(strings.Join(r.Received["Traceparent"], ","))
	if err != nil {
		t.Fatal(err)
	}
	return tp.Flags()
}

// hasMembers reports whether the tracestate that was received has the members,
// in their order.
func hasMembers(t *testing.T, r record, members string) bool {
	t.Helper()
	state, err := tracecontext.ParseTracestate(r.Received["Tracestate"]...)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for key, value := range state.All() {
		if member := key + "=" + value; slices.Contains(strings.Split(members, ","), member) {
			found = append(found, member)
		}
	}
	return strings.Join(found, ",") == members
}

// hasAll reports whether the lists of baggage members have the same members.
func hasAll(got, want []string) bool {
	members := func(fields []string) []string {
		return slices.Sorted(strings.SplitSeq(strings.Join(fields, ","), ","))
	}
	return slices.Equal(members(got), members(want))
}
