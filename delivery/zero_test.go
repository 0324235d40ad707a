package delivery_test

import (
	"context"
	"testing"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/clewtrace/clew/delivery"
)

// TestZeroTransport works as one of New with the zero Config, whichever of its methods is
// called first.
func TestZeroTransport(t *testing.T) {
	s := newSink(t)
	spans, records, points := delivery.Route{URL: s.URL + "/v1/traces"}, delivery.Route{URL: s.URL + "/v1/logs"}, delivery.Route{URL: s.URL + "/v1/metrics"}
	for first, use := range map[string]func(*delivery.Transport){
		"Client":        func(tr *delivery.Transport) { post(t, tr, delivery.Traces, s.URL, traceRequest("a")) },
		"ClientVia":     func(tr *delivery.Transport) { tr.ClientVia(delivery.Traces, spans) },
		"SpanProcessor": func(tr *delivery.Transport) { endSpans(tr.SpanProcessor(spans, delivery.Batch{}), 0, 1) },
		"LogProcessor": func(tr *delivery.Transport) {
			must(t, tr.LogProcessor(records, delivery.Batch{}).OnEmit(t.Context(), new(sdklog.Record)))
		},
		"SpanExporter": func(tr *delivery.Transport) {
			must(t, tr.SpanExporter(spans).ExportSpans(t.Context(), tracetest.SpanStubs{{Name: "n"}}.Snapshots()))
		},
		"LogExporter": func(tr *delivery.Transport) {
			must(t, tr.LogExporter(records).Export(t.Context(), make([]sdklog.Record, 1)))
		},
		"MetricExporter": func(tr *delivery.Transport) {
			must(t, tr.MetricExporter(points, nil, nil).Export(t.Context(), onePoint()))
		},
		"Observe":    func(tr *delivery.Transport) { tr.Observe(sdkmetric.NewMeterProvider()) },
		"Stats":      func(tr *delivery.Transport) { tr.Stats(delivery.Traces) },
		"ForceFlush": func(tr *delivery.Transport) { must(t, tr.ForceFlush(t.Context())) },
		"Shutdown":   func(*delivery.Transport) {},
	} {
		t.Run(first, func(t *testing.T) {
			var tr delivery.Transport
			use(&tr)
			if err := tr.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			for _, signal := range []delivery.Signal{delivery.Traces, delivery.Metrics, delivery.Logs} {
				if st := tr.Stats(signal); st.Delivered != st.Accepted {
					t.Errorf("%s: %+v", signal, st)
				}
			}
		})
	}
}
