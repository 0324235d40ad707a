package interop_test

import "testing"

// vendors are the libraries in the modes their users choose.
var vendors = []struct {
	who, module string
	library     string // in libraries
	env         []string
	ours        []string // in OTEL_PROPAGATORS, besides the default ones
	through     losses   // A (ours), B (theirs), C (ours)
	back        losses   // B (theirs), C (ours), B again
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
		who: "New Relic, remote parent decides", module: "github.com/newrelic/go-agent/v3", library: "newrelic",
		env:     []string{"INTEROP_PARENT_DECIDES=1"},
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
		ours:    []string{"b3multi"},
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
		ours:    []string{"b3multi"},
		through: all(b3Carries, randomFlag, traceState, levelTwoKeys, baggageHeader),
	},
}

// everything is what is lost where the trace ends and another begins.
var everything = []property{traceID, parentID, traceState, levelTwoKeys, baggageHeader}

// Why things are lost on the other side.
const (
	datadogFlags     = "dd-trace-go writes `00` or `01` for the flags, whatever they were. So since v1.47.0, the first to write `traceparent`, up to v2.12.0."
	datadogOnly      = "With this setting dd-trace-go reads and writes the `x-datadog-*` fields alone. W3C is among its defaults: leave the setting out."
	newRelicSampling = "The agent's own sampler decides, also when the parent is unsampled. So since v3.4.0, the first to write `traceparent`; " +
		"`ConfigRemoteParentSampled` and `ConfigRemoteParentNotSampled`, which came in v3.41.0, change the priority and not the flag. So up to v3.45.0."
	newRelicFlags = "The agent writes `00` or `01` for the flags, whatever they were. So since v3.4.0, the first to write `traceparent`, up to v3.45.0."
	noBaggage     = "The library does not know the `baggage` field; the service would have to forward it by itself. " +
		"So in New Relic v3.45.0, Elastic APM v2.7.0 and OpenCensus v0.24.0."
	levelOne = "The library discards the whole tracestate when a key is not of Level 1: `1a@b@c` is a key of Level 2 only. " +
		"So in Elastic APM since v1.7.0, the first to forward a tracestate, up to v2.7.0, and in OpenCensus since v0.16.0 up to v0.24.0, its last version."
	b3Only        = "The library speaks B3 alone in this mode: use one of the modes below it."
	b3Carries     = "B3 has ids and the sampling decision, no more."
	sentryHeaders = "The SDK speaks `sentry-trace` alone in this mode. So up to v0.50.0."
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
			tb.add(t, v.who, version, "ours → theirs → ours", h.through(t, theirs), v.through)
			tb.add(t, v.who, version, "theirs → ours → theirs", h.back(t, theirs), v.back)
		})
	}
}
