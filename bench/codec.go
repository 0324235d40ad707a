package main

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.elastic.co/apm/module/apmhttp/v2"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/tracecontext"
)

const (
	parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ts1    = "ot=th:fd70a4"
	ts2    = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
	ts5    = "dd=s:2;o:rum;t.dm:-4;p:00f067aa0ba902b7,33@nr=0-0-33-2827902-7d3efb1b173fecfa-e8b91a159289ff74-1-1.23456-1518469636035,es=s:1,congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
)

var ts32 = func() string {
	var b strings.Builder
	for i := range 32 {
		fmt.Fprintf(&b, ",key%02d=value%02d", i, i)
	}
	return b.String()[1:]
}()

var (
	ours  = propagator.New()
	stock = propagation.TraceContext{}
	bg    = context.Background()
)

func header(fields ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h[fields[i]] = []string{fields[i+1]}
	}
	return h
}

func extract(p propagation.TextMapPropagator, h http.Header) op {
	return loop(func() { p.Extract(bg, propagation.HeaderCarrier(h)) })
}

// extractUnseen extracts ever-new tracestates of the given number of members.
// There are more of them than anything can remember.
func extractUnseen(p propagation.TextMapPropagator, state string) op {
	headers := make([]http.Header, 1<<14)
	for i := range headers {
		headers[i] = header("Traceparent", parent, "Tracestate", fmt.Sprintf("n=%08x,%s", i, state))
	}
	next := 0
	return loop(func() {
		p.Extract(bg, propagation.HeaderCarrier(headers[next%len(headers)]))
		next++
	})
}

func inject(p propagation.TextMapPropagator, state string) op {
	return injectInto(p, state, http.Header{})
}

func injectInto(p propagation.TextMapPropagator, state string, h http.Header) op {
	ctx := stock.Extract(bg, propagation.HeaderCarrier(header("Traceparent", parent, "Tracestate", state)))
	return loop(func() { p.Inject(ctx, propagation.HeaderCarrier(h)) })
}

// members cuts state to its last n members.
func members(state string, n int) string {
	m := strings.Split(state, ",")
	return strings.Join(m[len(m)-n:], ",")
}

func both(name string, ratio float64, allocs int, f func(p propagation.TextMapPropagator) op) row {
	return row{name: name, want: limit{ratio, allocs}, contenders: []contender{
		{name: "clew", op: f(ours)}, {name: "stock", op: f(stock)},
	}}
}

func extractBoth(name string, ratio float64, allocs int, h http.Header) row {
	return both(name, ratio, allocs, func(p propagation.TextMapPropagator) op { return extract(p, h) })
}

func unseenBoth(members string, ratio float64, state string) row {
	return both("Extract, tracestate never seen, "+members, ratio, sameAllocs, func(p propagation.TextMapPropagator) op { return extractUnseen(p, state) })
}

func injectBoth(name string, ratio float64, allocs int, state string) row {
	return both(name, ratio, allocs, func(p propagation.TextMapPropagator) op { return inject(p, state) })
}

func againstStock() table {
	request := func(fields ...string) http.Header {
		return header(append(fields, "Accept", "*/*", "Accept-Encoding", "gzip", "Authorization", "Bearer x", "Content-Length", "2",
			"Content-Type", "application/json", "User-Agent", "Go-http-client/1.1", "X-Forwarded-For", "10.0.0.1", "X-Request-Id", "1")...)
	}
	tp := tracecontext.MustParseTraceparent(parent)
	t := table{
		title: "Against stock propagation.TraceContext, http.Header carriers",
		note:  "For ParseTraceparent the alternative is Elastic's parser, for AppendText stock's Inject, for ParseTracestate `trace.ParseTraceState`.",
		rows: []row{
			extractBoth("Extract, no trace headers", 0.20, 0, header()),
			extractBoth("Extract, no trace headers among 8 other fields", 0.30, 0, request()),
			extractBoth("Extract, invalid traceparent", 0.30, 0, header("Traceparent", parent+"-")),
			extractBoth("Extract, traceparent", 0.38, 1, header("Traceparent", parent)),
			extractBoth("Extract, tracestate seen before, ot=th:fd70a4", 0.32, 1, header("Traceparent", parent, "Tracestate", ts1)),
			extractBoth("Extract, tracestate seen before, 2 members", 0.28, 1, header("Traceparent", parent, "Tracestate", ts2)),
			unseenBoth("2 members", 0.75, members(ts2, 1)),
			unseenBoth("5 members", 0.90, members(ts5, 4)),
			unseenBoth("32 members", 1.02, members(ts32, 31)),
			injectBoth("Inject, reused header, traceparent", 0.60, 1, ""),
			injectBoth("Inject, reused header, 2 members", 0.60, 2, ts2),
			both("Inject, reused header with 8 other fields", 0.60, 1, func(p propagation.TextMapPropagator) op {
				return injectInto(p, "", request())
			}),
			{name: "ParseTraceparent", want: limit{0.6, 0}, contenders: []contender{
				{name: "clew", op: loop(func() { _, _ = tracecontext.ParseTraceparent(parent) })},
				{name: "Elastic", op: loop(func() { _, _ = apmhttp.ParseTraceparentHeader(parent) })},
			}},
			{name: "AppendText", want: limit{0.15, 0}, contenders: []contender{
				{name: "clew", op: format(tp)},
				{name: "stock Inject", op: inject(stock, "")},
			}},
			parseStates("ParseTracestate, 2 members", ts2),
			parseStates("ParseTracestate, 32 members", ts32),
			// What follows is not required; it is here to be known.
			extractBoth("Extract, traceparent among 8 other fields", 0, noAllocs, request("Traceparent", parent)),
			injectBoth("Inject, reused header, 32 members", 0, noAllocs, ts32),
		},
	}
	return t
}

// format does without the call of a function for each operation, which would
// be a fifth of the time.
func format(tp tracecontext.Traceparent) op {
	buf := make([]byte, 0, 64)
	return func(n int) time.Duration {
		start := cpuTime()
		for range n {
			buf, _ = tp.AppendText(buf[:0])
		}
		return cpuTime() - start
	}
}

func parseStates(name, state string) row {
	return row{name: name, want: limit{0.25, 0}, contenders: []contender{
		{name: "clew", op: loop(func() { _, _ = tracecontext.ParseTracestate(state) })},
		{name: "trace.ParseTraceState", op: loop(func() { _, _ = trace.ParseTraceState(state) })},
	}}
}

// remembering measures the memory of parsed tracestates on two cores at once.
func remembering(s settings) table {
	before := runtime.GOMAXPROCS(2)
	defer runtime.GOMAXPROCS(before)
	parallel := func(p propagation.TextMapPropagator) op {
		f := extract(p, header("Traceparent", parent, "Tracestate", ts2))
		return func(n int) time.Duration {
			start := cpuTime()
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() { f(n) })
			}
			wg.Wait()
			return (cpuTime() - start) / 2
		}
	}
	t := table{
		title: "Two cores at once",
		note:  "Every core extracts the same tracestate; the time is that of one operation on each core.",
		rows:  []row{both("Extract, tracestate seen before, 2 members", 0, noAllocs, parallel)},
	}
	t.measure(s)
	for i := range t.rows[0].results {
		t.rows[0].results[i].allocs /= 2
		t.rows[0].results[i].bytes /= 2
	}
	return t
}
