package main

import (
	"net/http"
	"os"
	"time"

	"github.com/DataDog/dd-trace-go/v2/ddtrace/tracer"
	"github.com/newrelic/go-agent/v3/newrelic"
	"go.elastic.co/apm/module/apmhttp/v2"
	octrace "go.opencensus.io/plugin/ochttp/propagation/tracecontext"
)

func againstPeers() table {
	plain := header("Traceparent", parent)
	state := header("Traceparent", parent, "Tracestate", ts2)
	read := func(name string, h http.Header) row {
		return row{name: name, want: limit{allocs: noAllocs}, contenders: append([]contender{
			{name: "clew", op: extract(ours, h)}, {name: "stock", op: extract(stock, h)},
		}, peersExtract(h)...)}
	}
	write := func(name string, h http.Header) row {
		ts := h.Get("Tracestate")
		return row{name: name, want: limit{allocs: noAllocs}, contenders: append([]contender{
			{name: "clew", op: inject(ours, ts)}, {name: "stock", op: inject(stock, ts)},
		}, peersInject(h)...)}
	}
	return table{
		title: "Beside other vendors' libraries",
		note:  "Each does what it does with the two headers, which is not the same everywhere: New Relic's rows are accepting into and inserting from a transaction, Elastic's parsing and formatting without a carrier.",
		rows: []row{
			read("read traceparent", plain), read("read traceparent and 2 members", state),
			write("write traceparent", plain), write("write traceparent and 2 members", state),
		},
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var datadog = func() tracer.Propagator {
	_ = os.Setenv("DD_TRACE_PROPAGATION_STYLE", "tracecontext")
	return tracer.NewPropagator(nil)
}()

// newRelic needs no connection in serverless mode.
var newRelic = must(newrelic.NewApplication(func(c *newrelic.Config) {
	c.AppName = "bench"
	c.ServerlessMode.Enabled = true
	c.ServerlessMode.AccountID, c.ServerlessMode.TrustedAccountKey, c.ServerlessMode.PrimaryAppID = "1", "1", "1"
}))

// inTransactions times f alone: a transaction accepts headers once.
func inTransactions(f func(*newrelic.Transaction)) op {
	return func(n int) time.Duration {
		txns := make([]*newrelic.Transaction, n)
		for i := range txns {
			txns[i] = newRelic.StartTransaction("bench")
		}
		start := cpuTime()
		for _, txn := range txns {
			f(txn)
		}
		took := cpuTime() - start
		for _, txn := range txns {
			txn.Ignore()
			txn.End()
		}
		return took
	}
}

func peersExtract(h http.Header) []contender {
	r := &http.Request{Header: h}
	state := h.Get("Tracestate")
	return []contender{
		{name: "Datadog", op: loop(func() { _, _ = datadog.Extract(tracer.HTTPHeadersCarrier(h)) })},
		{name: "New Relic", most: 512, uncounted: true, op: inTransactions(func(txn *newrelic.Transaction) { txn.AcceptDistributedTraceHeaders(newrelic.TransportHTTP, h) })},
		{name: "Elastic", op: loop(func() {
			_, _ = apmhttp.ParseTraceparentHeader(parent)
			if state != "" {
				_, _ = apmhttp.ParseTracestateHeader(state)
			}
		})},
		{name: "OpenCensus", op: loop(func() { (&octrace.HTTPFormat{}).SpanContextFromRequest(r) })},
	}
}

func peersInject(h http.Header) []contender {
	ddc := must(datadog.Extract(tracer.HTTPHeadersCarrier(h)))
	txn := newRelic.StartTransaction("bench")
	txn.AcceptDistributedTraceHeaders(newrelic.TransportHTTP, h)
	elastic := must(apmhttp.ParseTraceparentHeader(parent))
	if ts := h.Get("Tracestate"); ts != "" {
		elastic.State = must(apmhttp.ParseTracestateHeader(ts))
	}
	oc, _ := (&octrace.HTTPFormat{}).SpanContextFromRequest(&http.Request{Header: h})
	out := http.Header{}
	r := &http.Request{Header: http.Header{}}
	return []contender{
		{name: "Datadog", op: loop(func() { _ = datadog.Inject(ddc, tracer.HTTPHeadersCarrier(out)) })},
		{name: "New Relic", most: 512, op: loop(func() { txn.InsertDistributedTraceHeaders(out) })},
		{name: "Elastic", op: loop(func() {
			_ = apmhttp.FormatTraceparentHeader(elastic)
			_ = elastic.State.String()
		})},
		{name: "OpenCensus", op: loop(func() { (&octrace.HTTPFormat{}).SpanContextToRequest(oc, r) })},
	}
}
