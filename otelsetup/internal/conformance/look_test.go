package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"

	"github.com/clewtrace/clew/internal/otlpreceiver"
	"github.com/clewtrace/clew/internal/workload"
)

// The functions here say in a few words what arrived.

func signals(o *outcome) string {
	var arrived []string
	if len(o.Spans()) > 0 {
		arrived = append(arrived, "traces")
	}
	if len(o.Metrics()) > 0 {
		arrived = append(arrived, "metrics")
	}
	if len(o.Logs()) > 0 {
		arrived = append(arrived, "logs")
	}
	return strings.Join(arrived, ", ")
}

func everything(o *outcome) string {
	if s := signals(o); s != "" {
		return s
	}
	if o.target.Get("traceparent") == workload.SampledParent {
		return "nothing; the request carried the caller's traceparent"
	}
	return "nothing"
}

// andPrinted looks for a word, however it is written.
func andPrinted(word string) func(*outcome) string {
	return func(o *outcome) string {
		if strings.Contains(o.stdout+o.stderr, word) {
			return signals(o) + "; printed"
		}
		return signals(o)
	}
}

func scrapedMetrics(o *outcome) string {
	for line := range strings.Lines(o.stdout) {
		if strings.HasPrefix(line, "orders_total{") && strings.HasSuffix(line, " 1\n") {
			return signals(o) + "; orders_total 1 served"
		}
	}
	return signals(o)
}

// printed tells which of the texts were printed.
func printed(texts ...string) func(*outcome) string {
	return func(o *outcome) string {
		var found []string
		for _, text := range texts {
			if strings.Contains(o.stderr, text) {
				found = append(found, text)
			}
		}
		if found == nil {
			return "printed nothing"
		}
		return "printed: " + strings.Join(found, ", ")
	}
}

func resource(keys ...string) func(*outcome) string {
	return func(o *outcome) string {
		seen := map[string]bool{}
		look := func(origin otlpreceiver.Origin) {
			pairs := make([]string, len(keys))
			for i, key := range keys {
				pairs[i] = key + "=" + otlpreceiver.Attribute(origin.Resource.GetAttributes(), key).GetStringValue()
			}
			seen[strings.Join(pairs, " ")] = true
		}
		for _, s := range o.Spans() {
			look(s.Origin)
		}
		for _, m := range o.Metrics() {
			look(m.Origin)
		}
		for _, l := range o.Logs() {
			look(l.Origin)
		}
		return strings.Join(slices.Sorted(maps.Keys(seen)), " and ")
	}
}

func spanNames(o *outcome) string {
	var names []string
	for _, kind := range []struct{ span, shown string }{{"work", "root"}, {"continued", "child of sampled"}, {"skipped", "child of unsampled"}} {
		if slices.ContainsFunc(o.Spans(), func(s otlpreceiver.Span) bool { return s.GetName() == kind.span }) {
			names = append(names, kind.shown)
		}
	}
	if names == nil {
		return "no spans"
	}
	return strings.Join(names, ", ")
}

// sentHeaders leaves out what net/http sends.
func sentHeaders(o *outcome) string {
	var names []string
	for name := range o.target {
		switch name {
		case "User-Agent", "Accept-Encoding":
		case "Traceparent", "Baggage": // net/http spells them so when it receives them
			names = append(names, strings.ToLower(name))
		default:
			names = append(names, name)
		}
	}
	if names == nil {
		return "sent nothing"
	}
	slices.Sort(names)
	return "sent " + strings.Join(names, ", ")
}

func paths(o *outcome) string {
	seen := map[string]bool{}
	for _, r := range o.requests {
		seen[r.path] = true
	}
	return "requests to " + strings.Join(slices.Sorted(maps.Keys(seen)), ", ")
}

func asked(path string) func(*outcome) string {
	return func(o *outcome) string {
		if len(o.of(path)) == 0 {
			return "no requests"
		}
		return "requests to " + path
	}
}

func header(path, name string) func(*outcome) string {
	return func(o *outcome) string {
		for _, r := range o.of(path) {
			return name + ": " + r.header.Get(name)
		}
		return "no request"
	}
}

var signalPaths = []string{traces, metrics, logs}

// onEach looks at a header field of each signal.
func onEach(name string) func(*outcome) string {
	return func(o *outcome) string {
		if signals(o) != "traces, metrics, logs" {
			return "only " + signals(o)
		}
		return perSignal(func(path string) string {
			value := o.of(path)[0].header.Get(name)
			if name == "Content-Encoding" && value == "gzip" && !strings.HasPrefix(string(o.of(path)[0].wire), "\x1f\x8b") {
				return "not gzip"
			}
			return value
		})
	}
}

// tracesHeaders shows header fields of the request that brought the spans.
func tracesHeaders(names ...string) func(*outcome) string {
	return func(o *outcome) string {
		var values []string
		for _, r := range o.of(traces) {
			for _, name := range names {
				values = append(values, r.header.Get(name))
			}
		}
		return strings.Join(values, "; ")
	}
}

func clientCertificates(o *outcome) string {
	return perSignal(func(path string) string {
		for _, r := range o.of(path) {
			if len(r.tls.PeerCertificates) == 1 {
				return "client certificate"
			}
		}
		return ""
	})
}

// each is what perSignal says when one signal differs, or none if path is "".
func each(path, own, others string) string {
	return perSignal(func(p string) string {
		if path == "" || p == path {
			return own
		}
		return others
	})
}

func perSignal(value func(path string) string) string {
	var said []string
	for _, path := range signalPaths {
		if v := value(path); v != "" {
			said = append(said, strings.TrimPrefix(path, "/v1/")+": "+v)
		}
	}
	return strings.Join(said, "; ")
}

func trusted(path string) string {
	if path == "" {
		return "traces, metrics, logs"
	}
	return strings.TrimPrefix(path, "/v1/")
}

func gaveUp(o *outcome) string {
	select {
	case <-o.abandoned:
		return "the request ended while the program ran"
	default:
		return "the request went on"
	}
}

func firstRequest(o *outcome) string { return o.first + " while the program ran" }

func requestsTo(path string) func(*outcome) string {
	return func(o *outcome) string { return count(len(o.of(path)), "request") + " to " + path }
}

func fewRequests(path string) func(*outcome) string {
	return func(o *outcome) string {
		if n := len(o.of(path)); n >= 10 {
			return count(n, "request")
		}
		return "less than 10 requests"
	}
}

func spanCount(o *outcome) string { return count(len(o.Spans()), "span") }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func work(o *outcome) otlpreceiver.Span {
	for _, s := range o.Spans() {
		if s.GetName() == "work" {
			return s
		}
	}
	return otlpreceiver.Span{}
}

func attributes(o *outcome) string {
	said := "span" + pairs(work(o).GetAttributes()) + ", log"
	if records := o.Logs(); len(records) == 1 {
		return said + pairs(records[0].GetAttributes())
	}
	return said
}

func pairs(attrs []*commonpb.KeyValue) string {
	var b strings.Builder
	for _, a := range attrs {
		fmt.Fprintf(&b, " %s=%s", a.GetKey(), a.GetValue().GetStringValue())
	}
	return b.String()
}

func eventsAndLinks(o *outcome) string {
	s := work(o)
	if len(s.GetEvents()) == 0 || len(s.GetLinks()) == 0 {
		return "nothing"
	}
	return count(len(s.GetEvents()), "event") + " with " + count(len(s.GetEvents()[0].GetAttributes()), "attribute") + ", " +
		count(len(s.GetLinks()), "link") + " with " + count(len(s.GetLinks()[0].GetAttributes()), "attribute")
}

func metric(o *outcome, name string) *metricspb.Metric {
	for _, m := range o.Metrics() {
		if m.GetName() == name {
			return m.Metric
		}
	}
	return nil
}

func temporality(o *outcome) string {
	name := func(t metricspb.AggregationTemporality) string {
		return strings.ToLower(strings.TrimPrefix(t.String(), "AGGREGATION_TEMPORALITY_"))
	}
	return "counter " + name(metric(o, "orders").GetSum().GetAggregationTemporality()) +
		", histogram " + name(metric(o, "duration").GetHistogram().GetAggregationTemporality())
}

func aggregation(o *outcome) string {
	if metric(o, "duration").GetExponentialHistogram() != nil {
		return "exponential buckets"
	}
	return "explicit buckets"
}

func exemplars(o *outcome) string {
	var all []*metricspb.Exemplar
	for _, p := range metric(o, "duration").GetHistogram().GetDataPoints() {
		all = append(all, p.GetExemplars()...)
	}
	said := count(len(all), "exemplar")
	if len(all) == 1 && string(all[0].GetSpanId()) == string(work(o).GetSpanId()) {
		said += ", of the sampled span"
	}
	return said
}
