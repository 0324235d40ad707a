package delivery_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
)

// TestProcessorsOfAllSignals: what is recorded arrives, and is counted once.
func TestProcessorsOfAllSignals(t *testing.T) {
	for name, exporters := range map[string]bool{"processors": false, "exporters": true} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			s := newSink(t)
			tr := newTransport(t, quick(new(handled)))
			route := func(signal delivery.Signal) delivery.Route {
				return delivery.Route{URL: s.URL + "/v1/" + signal.String(), Gzip: exporters}
			}
			spans, records := tr.SpanProcessor(route(delivery.Traces), delivery.Batch{}), tr.LogProcessor(route(delivery.Logs), delivery.Batch{})
			if exporters {
				spans = sdktrace.NewBatchSpanProcessor(tr.SpanExporter(route(delivery.Traces)), sdktrace.WithBlocking())
				records = sdklog.NewBatchProcessor(tr.LogExporter(route(delivery.Logs)))
			}
			tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
			lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(records))
			mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(tr.MetricExporter(route(delivery.Metrics), nil, nil))))
			const n = 5000
			var names []string
			for i := range n {
				names = append(names, strconv.Itoa(i))
				_, span := tp.Tracer("t").Start(ctx, names[i])
				span.End()
			}
			for range 100 {
				var r log.Record
				r.SetBody(attribute.StringValue("line"))
				lp.Logger("t").Emit(ctx, r)
			}
			counter, err := mp.Meter("t").Int64Counter("c")
			must(t, err)
			counter.Add(ctx, 1)
			for _, stop := range []func(context.Context) error{tp.Shutdown, mp.Shutdown, lp.Shutdown, tr.Shutdown} {
				must(t, stop(ctx))
			}
			if lost, twice := s.lost(names); lost+twice != 0 || s.records != 100 || s.points != 1 {
				t.Errorf("%d spans lost, %d twice, %d log records, %d data points", lost, twice, s.records, s.points)
			}
			for signal, want := range map[delivery.Signal]int64{delivery.Traces: n, delivery.Logs: 100, delivery.Metrics: 1} {
				if st := tr.Stats(signal); st.Accepted != want || st.Delivered != want || st.Queued != 0 || st.QueuedBytes != 0 {
					t.Errorf("%v: %+v: want %d accepted and delivered", signal, st, want)
				}
			}
		})
	}
}

// TestHeadersOfTwoProcessors: each sends its own, to the same URL too.
func TestHeadersOfTwoProcessors(t *testing.T) {
	s := newSink(t)
	tr := newTransport(t, quick(new(handled)))
	for _, tenant := range []string{"a", "b"} {
		p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces", Header: http.Header{"Tenant": {tenant}}}, delivery.Batch{})
		endSpans(p, 0, 1)
	}
	flush(t, tr)
	got := map[string]int{}
	for _, r := range s.got {
		got[r.Header.Get("Tenant")]++
		if r.UserAgent() == "" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("headers %v", r.Header)
		}
	}
	if got["a"] != 1 || got["b"] != 1 {
		t.Errorf("requests by tenant: %v", got)
	}
}
