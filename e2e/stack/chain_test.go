package stack_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/process"
)

// stores are where telemetry ends: base URLs of Prometheus and of what stands in
// Loki's place, and Jaeger in Tempo's place.
type stores struct {
	prometheus, loki string
	logs             *logStore
	jaeger           *jaeger.Server
}

func startStores(t *testing.T) stores {
	t.Helper()
	logs := startLogStore(t)
	return stores{startPrometheus(t), logs.url, logs, jaeger.Start(t, jaeger.Config{})}
}

// behind are the variables with which a Collector finds the stores.
func (s stores) behind() []string {
	return []string{"TEMPO_URL=" + s.jaeger.OTLP, "PROMETHEUS_URL=" + s.prometheus, "LOKI_URL=" + s.loki, "HOSTNAME=collector"}
}

const visits = 200

// TestForward is the compose file's default: services send to a Collector that
// hands on what it gets.
func TestForward(t *testing.T) {
	t.Parallel()
	s := startStores(t)
	collector := startCollector(t, "forward.yaml", nil, s.behind()...)
	shop := startShop(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector.http)
	shop.customers(25, visits).Wait(t, time.Minute)
	shop.stop()

	traces := s.awaitTraces(t, "load", visits)
	checkWhole(t, traces)
	s.checkLogs(t, traces)

	exemplars := s.exemplars(t, "http_server_request_duration_seconds_bucket")
	opened := s.open(t, exemplars)
	t.Logf("%d of %d exemplars open", opened, len(exemplars))
	if opened != len(exemplars) || opened == 0 {
		t.Errorf("%d of %d exemplars lead to a trace, want all", opened, len(exemplars))
	}
}

// TestForwardSamples has the customers come, and the services sample, as they do in
// compose: often enough to see it, and counted as often as they stand for.
func TestForwardSamples(t *testing.T) {
	t.Parallel()
	s := startStores(t)
	collector := startCollector(t, "forward.yaml", nil, s.behind()...)
	shop := startShop(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector.http, "OTEL_TRACES_SAMPLER=parentbased_adaptive", "OTEL_TRACES_SAMPLER_ARG=1")
	const come = 80
	shop.customers(2, come).Wait(t, 2*time.Minute)
	shop.stop()

	traces := s.awaitKept(t, "load")
	checkWhole(t, traces)
	t.Logf("%d of %d traces kept", len(traces), come)
	if len(traces) < come/4 || len(traces) > come*3/4 {
		t.Errorf("%d of %d traces are kept, want about half", len(traces), come)
	}
}

// TestForwardHoldsNothing has the trace store away, and kills the Collector
// meanwhile: the services keep what is not stored.
func TestForwardHoldsNothing(t *testing.T) {
	t.Parallel()
	s := startStores(t)
	store, err := url.Parse(s.jaeger.OTLP)
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Bool
	var refused atomic.Int64
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if open.Load() {
			httputil.NewSingleHostReverseProxy(store).ServeHTTP(w, r)
			return
		}
		refused.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(door.Close)
	env := append(s.behind(), "TEMPO_URL="+door.URL)
	addrs := process.FreeAddrs(t, 3)
	collector := startCollectorAt(t, addrs, "forward.yaml", nil, env...)
	shop := startShop(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector.http)
	sent := request(t, shop.url("checkout")+"/products", 20, 2*time.Second)
	process.Eventually(t, time.Minute, func() error {
		if refused.Load() == 0 {
			return errors.New("the Collector has not asked the store")
		}
		return nil
	})
	collector.Signal(t, syscall.SIGKILL)
	collector.Wait(t, time.Minute)
	startCollectorAt(t, addrs, "forward.yaml", nil, env...)
	open.Store(true)
	checkWhole(t, s.awaitTraces(t, "checkout", sent))
}

// TestTail is collector/tail.env: one Collector, which counts every trace and
// keeps the failed, the slow and some of the rest.
func TestTail(t *testing.T) {
	t.Parallel()
	s := startStores(t)
	collector := startCollector(t, "tail.yaml", nil, s.behind()...)
	shop := startShop(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector.http)
	shop.customers(25, visits).Wait(t, time.Minute)
	shop.stop()

	requests := s.checkCounts(t)
	traces := s.awaitKept(t, "load")
	t.Logf("%d of %d traces kept, all of %v requests counted", len(traces), visits, requests)
	if len(traces) == 0 || len(traces) >= visits {
		t.Errorf("%d of %d traces are kept", len(traces), visits)
	}
	checkWhole(t, traces)
	s.checkLogs(t, traces)
	for _, name := range []string{"http_server_request_duration_seconds_bucket", "traces_spanmetrics_latency_bucket"} {
		exemplars := s.exemplars(t, name)
		opened := s.open(t, exemplars)
		t.Logf("%s: %d of %d exemplars open, the others' traces were not kept", name, opened, len(exemplars))
		if opened == 0 {
			t.Errorf("%s: none of %d exemplars leads to a trace", name, len(exemplars))
		}
	}
}

// checkCounts waits until what the Collector has counted is what the services
// have: one server span per request, one edge of the graph per call. It returns
// the number of requests.
func (s stores) checkCounts(t *testing.T) (requests float64) {
	t.Helper()
	process.Eventually(t, time.Minute, func() error {
		requests = 0
		for _, edge := range []struct{ client, server string }{
			{"load", "checkout"}, {"checkout", "inventory"}, {"checkout", "payment"}, {"checkout", "worker"},
		} {
			sum := func(format string, args ...any) float64 {
				return value(t, s.prometheus, fmt.Sprintf("sum("+format+")", args...))
			}
			want := sum(`http_server_request_duration_seconds_count{service_name=%q}`, edge.server)
			spans := sum(`traces_spanmetrics_calls_total{service_name=%q, span_kind="SPAN_KIND_SERVER"}`, edge.server)
			calls := sum(`traces_service_graph_request_total{client=%q, server=%q, connection_type!="messaging_system"}`, edge.client, edge.server)
			if want == 0 || spans != want || calls != want {
				return fmt.Errorf("%s answered %v requests: %v server spans, %v calls from %s", edge.server, want, spans, calls, edge.client)
			}
			requests += want
		}
		return nil
	})
	return requests
}

// span is what the tests read of a span in Jaeger.
type span struct {
	SpanID, OperationName, ProcessID string
	References                       []struct{ RefType, TraceID, SpanID string }
}

type storedTrace struct {
	TraceID   string
	Spans     []span
	Processes map[string]struct{ ServiceName string }
}

func (s stores) traces(t *testing.T, service string) ([]storedTrace, error) {
	t.Helper()
	var found struct{ Data []storedTrace }
	_, err := get(t, s.jaeger.Query+"/api/traces?limit=5000&lookback=1h&service="+url.QueryEscape(service), &found)
	return found.Data, err
}

// awaitTraces returns the traces in which a service takes part, once there are
// as many as wanted.
func (s stores) awaitTraces(t *testing.T, service string, want int) (traces []storedTrace) {
	t.Helper()
	process.Eventually(t, time.Minute, func() (err error) {
		if traces, err = s.traces(t, service); err == nil && len(traces) != want {
			err = fmt.Errorf("%d traces, want %d", len(traces), want)
		}
		return err
	})
	return traces
}

// awaitKept returns the traces that tail sampling has kept: all that the
// Collector says it has sent.
func (s stores) awaitKept(t *testing.T, service string) (traces []storedTrace) {
	t.Helper()
	before := -1
	process.Eventually(t, 2*time.Minute, func() (err error) {
		undecided := value(t, s.prometheus, `sum(otelcol_processor_tail_sampling_sampling_traces_on_memory)`)
		if traces, err = s.traces(t, service); err == nil && (len(traces) != before || undecided > 0) {
			err = fmt.Errorf("%d traces, %v undecided", len(traces), undecided)
			before = len(traces)
		}
		return err
	})
	return traces
}

// checkWhole checks that every span's parent is there.
func checkWhole(t *testing.T, traces []storedTrace) {
	t.Helper()
	broken := 0
	for _, trace := range traces {
		ids := make(map[string]bool)
		for _, s := range trace.Spans {
			ids[s.SpanID] = true
		}
		roots := 0
		for _, s := range trace.Spans {
			switch {
			case len(s.References) == 0:
				roots++
			case s.References[0].RefType == "CHILD_OF" && !ids[s.References[0].SpanID]:
				roots = -len(trace.Spans)
			}
		}
		if roots != 1 {
			broken++
		}
	}
	if broken > 0 {
		t.Errorf("%d of %d traces are not whole", broken, len(traces))
	}
}

// checkLogs checks that every trace with a reservation in it has lines of the
// inventory and the checkout, found by its id.
func (s stores) checkLogs(t *testing.T, traces []storedTrace) {
	t.Helper()
	checked := 0
	for _, trace := range traces {
		reserves := false
		for _, span := range trace.Spans {
			reserves = reserves || span.OperationName == "POST /reservations" && trace.Processes[span.ProcessID].ServiceName == "inventory"
		}
		if !reserves {
			continue
		}
		checked++
		process.Eventually(t, 30*time.Second, func() error {
			for _, service := range []string{"checkout", "inventory"} {
				query := fmt.Sprintf(`{service_name=~".+"} | trace_id=%q | service_name=%q`, trace.TraceID, service)
				if len(s.logs.find(t, query)) == 0 {
					return fmt.Errorf("trace %s has no log lines of %s", trace.TraceID, service)
				}
			}
			return nil
		})
	}
	t.Logf("%d traces have log lines of two services and more", checked)
	if checked == 0 {
		t.Error("no trace has a reservation")
	}
}

// exemplars returns the ids of the traces that the metric's exemplars name.
func (s stores) exemplars(t *testing.T, metric string) map[string]bool {
	t.Helper()
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	now := time.Now()
	values := url.Values{"query": {metric}, "start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Format(time.RFC3339)}}
	if _, err := get(t, s.prometheus+"/api/v1/query_exemplars?"+values.Encode(), &answer); err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, series := range answer.Data {
		for _, e := range series.Exemplars {
			ids[e.Labels["trace_id"]] = true
		}
	}
	return ids
}

// open returns how many of the traces are in the store.
func (s stores) open(t *testing.T, ids map[string]bool) (opened int) {
	t.Helper()
	for id := range ids {
		if _, err := get(t, s.jaeger.Query+"/api/traces/"+id, nil); err == nil {
			opened++
		}
	}
	return opened
}
