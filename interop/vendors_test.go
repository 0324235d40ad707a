package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/tracecontext"
)

// vendors are the libraries in the modes their users choose.
var vendors = []struct {
	who, module string
	library     string // in libraries
	env         []string
	ours        []propagation.TextMapPropagator // besides the default ones
	through     losses                          // A (ours), B (theirs), C (ours)
	back        losses                          // B (theirs), C (ours), B again
}{
	{
		who: "Datadog, default", module: "github.com/DataDog/dd-trace-go/v2", library: "datadog",
		through: losses{randomFlag: datadogFlags},
	},
	{
		who: "Datadog, W3C only", module: "github.com/DataDog/dd-trace-go/v2", library: "datadog",
		env:     []string{"DD_TRACE_PROPAGATION_STYLE=tracecontext,baggage"},
		through: losses{randomFlag: datadogFlags},
	},
	{
		who: "Datadog, Datadog headers only", module: "github.com/DataDog/dd-trace-go/v2", library: "datadog",
		env:     []string{"DD_TRACE_PROPAGATION_STYLE=datadog"},
		through: all(datadogOnly, everything...),
		back:    all(datadogOnly, traceID, parentID),
	},
	{
		who: "New Relic, default", module: "github.com/newrelic/go-agent/v3", library: "newrelic",
		through: losses{sampledFlag: newRelicSampling, randomFlag: newRelicFlags, baggageHeader: noBaggage},
	},
	{
		who: "New Relic, W3C only", module: "github.com/newrelic/go-agent/v3", library: "newrelic",
		env:     []string{"INTEROP_W3C_ONLY=1"},
		through: losses{sampledFlag: newRelicSampling, randomFlag: newRelicFlags, baggageHeader: noBaggage},
	},
	{
		who: "Elastic APM, default", module: "go.elastic.co/apm/v2", library: "elastic",
		through: losses{levelTwoKeys: levelOne, baggageHeader: noBaggage},
	},
	{
		who: "Elastic APM, W3C only", module: "go.elastic.co/apm/v2", library: "elastic",
		env:     []string{"ELASTIC_APM_USE_ELASTIC_TRACEPARENT_HEADER=false"},
		through: losses{levelTwoKeys: levelOne, baggageHeader: noBaggage},
	},
	{
		who: "OpenCensus, default", module: "go.opencensus.io", library: "opencensus",
		through: all(b3Only, everything...),
		back:    all(b3Only, traceID, parentID),
	},
	{
		who: "OpenCensus, default; ours with `b3multi`", module: "go.opencensus.io", library: "opencensus",
		ours:    []propagation.TextMapPropagator{b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader))},
		through: all(b3Carries, randomFlag, traceState, levelTwoKeys, baggageHeader),
	},
	{
		who: "OpenCensus, W3C", module: "go.opencensus.io", library: "opencensus",
		env:     []string{"INTEROP_W3C_ONLY=1"},
		through: losses{levelTwoKeys: levelOne, baggageHeader: noBaggage},
	},
	{
		who: "Sentry, default", module: "github.com/getsentry/sentry-go", library: "sentry",
		through: all(sentryHeaders, everything...),
		back:    all(sentryHeaders, traceID, parentID),
	},
	{
		who: "Sentry, `PropagateTraceparent`", module: "github.com/getsentry/sentry-go", library: "sentry",
		env:     []string{"INTEROP_W3C_ONLY=1"},
		through: all(sentryReads, everything...),
		back:    all(sentryReads, traceID, parentID),
	},
	{
		who: "Zipkin", module: "github.com/openzipkin/zipkin-go", library: "zipkin",
		through: all(b3Only, everything...),
		back:    all(b3Only, traceID, parentID),
	},
	{
		who: "Zipkin; ours with `b3multi`", module: "github.com/openzipkin/zipkin-go", library: "zipkin",
		ours:    []propagation.TextMapPropagator{b3.New(b3.WithInjectEncoding(b3.B3MultipleHeader))},
		through: all(b3Carries, randomFlag, traceState, levelTwoKeys, baggageHeader),
	},
}

var everything = []property{traceID, parentID, sampledFlag, randomFlag, traceState, levelTwoKeys, baggageHeader}

// Why things are lost on the other side.
const (
	datadogFlags = "dd-trace-go writes `00` or `01` for the flags, whatever they were. So in v2.12.0."
	datadogOnly  = "With this setting dd-trace-go reads and writes the `x-datadog-*` fields alone, which 64-bit ids made what they are. " +
		"W3C is among its defaults: leave the setting out."
	newRelicSampling = "The agent's own sampler decides, also when the parent is unsampled. So in v3.45.0."
	newRelicFlags = "The agent writes `00` or `01` for the flags, whatever they were. So in v3.45.0."
	noBaggage     = "The library does not know the `baggage` field; the service would have to forward it by itself."
	levelOne      = "The library discards the whole tracestate when a key is not of Level 1: `1a@b@c` is a key of Level 2 only. " +
		"So in Elastic APM v2.7.0 and in OpenCensus v0.24.0, which is its last version."
	b3Only        = "The library speaks B3 alone in this mode: use one of the modes below it."
	b3Carries     = "B3 has ids and the sampling decision, no more."
	sentryHeaders = "The SDK speaks `sentry-trace` alone in this mode."
	sentryReads   = "The SDK reads `sentry-trace` alone, and with this option, which came in v0.41.0, it writes `traceparent` besides: " +
		"its traces go on with us, ours do not go on with it. So in v0.50.0."
)

func TestVendors(t *testing.T) {
	tb := newTable(t, "vendors")
	for _, v := range vendors {
		t.Run(v.who, func(t *testing.T) {
			h := newHouse(t, v.ours...)
			theirs := startLibrary(t, v.library, v.env)
			version := moduleVersion(t, v.module)
			tb.add(t, v.who, version, "ours → theirs → ours", through(t, h, theirs), v.through)
			tb.add(t, v.who, version, "theirs → ours → theirs", back(t, h, theirs), v.back)
		})
	}
}

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
func through(t *testing.T, h *house, theirs string) outcome {
	t.Helper()
	last := httptest.NewServer(endpoint())
	defer last.Close()
	route := []string{h.service(t), theirs, h.service(t), last.URL}

	sent, records := enter(t, true, ourState, route...)
	a, b, c, d := records[0], records[1], records[2], records[3]
	spans := h.spans(t, a.TraceID)
	client := childOf(spans, a.SpanID)
	parent := hexID(spans[c.SpanID].GetParentSpanId())
	got := outcome{
		traceID:       b.TraceID == a.TraceID && c.TraceID == a.TraceID,
		parentID:      client != "" && b.ParentID == client && parent != "" && parent != client && parent != a.SpanID,
		sampledFlag:   b.Sampled && c.Sampled,
		randomFlag:    flagsOf(t, d)&tracecontext.FlagRandom != 0 && c.TraceID == a.TraceID,
		traceState:    hasMembers(t, d, ourState),
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
	return got
}

// back lets their service start a trace, which comes back to it over ours.
func back(t *testing.T, h *house, theirs string) outcome {
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
	spans := h.spans(t, c.TraceID)
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
	return got
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
