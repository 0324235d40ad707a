package stack_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// TestSampling has a service sample adaptively while its traffic doubles and
// falls to a quarter, and compares what Prometheus knows of it: the requests
// that the service has counted itself, the spans that it kept, each counted as
// many times as it stands for, and the sampler's own account. About 3000 traces
// are kept in a phase, which makes a standard deviation of about 1%.
func TestSampling(t *testing.T) {
	t.Parallel()
	prometheus := startPrometheus(t)
	collector := startCollector(t, "tail.yaml", nil, "TEMPO_URL=http://127.0.0.1:1", "PROMETHEUS_URL="+prometheus, "LOKI_URL=http://127.0.0.1:1")
	addr := process.FreeAddrs(t, 1)[0]
	server := process.Start(t, process.Build(t, "../..", "./examples/server"), []string{"-addr", addr}, []string{
		"OTEL_SERVICE_NAME=server", "OTEL_LOGS_EXPORTER=none", "OTEL_METRIC_EXPORT_INTERVAL=" + often, "OTEL_BSP_SCHEDULE_DELAY=" + often,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + collector.http, "OTEL_TRACES_SAMPLER=parentbased_adaptive", "OTEL_TRACES_SAMPLER_ARG=120",
	})
	process.Eventually(t, 10*time.Second, func() error {
		if !strings.Contains(server.Stderr()+server.Stdout(), "Listening on") {
			return fmt.Errorf("%s", server.Stderr())
		}
		return nil
	})

	const (
		requests = `sum(http_server_request_duration_seconds_count{service_name="server"})`
		adjusted = `sum(traces_spanmetrics_calls_total{service_name="server", span_kind="SPAN_KIND_SERVER"})`
		decided  = `sum(clew_sampler_decisions_total{service_name="server"}) / 2` // two spans for each request
		kept     = `sum(clew_sampler_decisions_total{service_name="server", clew_sampler_decision="kept"}) / 2`
	)
	t.Log("requests/s   true count   adjusted count   decisions   share kept")
	sent := 0
	for _, rate := range []int{200, 400, 100} {
		sent += request(t, "http://"+addr+"/", rate, 25*time.Second)
		awaitValue(t, prometheus, requests, float64(sent))
		awaitValue(t, prometheus, decided, float64(sent))
		a := awaitStable(t, prometheus, adjusted)
		share := value(t, prometheus, kept) / float64(sent)
		t.Logf("%10d   %10d   %14.0f   %9d   %9.0f%%", rate, sent, a, sent, 100*share)
		if math.Abs(a/float64(sent)-1) > 0.05 {
			t.Errorf("at %d/s: %v requests by the adjusted counts, %d in truth", rate, a, sent)
		}
		if share > 0.9 {
			t.Errorf("at %d/s: %.0f%% are kept, which proves nothing", rate, 100*share)
		}
	}
}

// request sends requests at a rate, and returns their number.
func request(t *testing.T, url string, perSecond int, lasts time.Duration) int {
	t.Helper()
	var pending sync.WaitGroup
	defer pending.Wait()
	n := int(lasts.Seconds()) * perSecond
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for range n {
		<-tick.C
		pending.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
		})
	}
	return n
}

func awaitValue(t *testing.T, prometheus, expr string, want float64) {
	t.Helper()
	process.Eventually(t, time.Minute, func() error {
		if v := value(t, prometheus, expr); v != want {
			return fmt.Errorf("%s is %v, want %v", expr, v, want)
		}
		return nil
	})
}

// awaitStable returns the value of expr once it has not changed while the
// Collector has flushed its metrics, and the services theirs.
func awaitStable(t *testing.T, prometheus, expr string) (v float64) {
	t.Helper()
	const flush = 16 * time.Second // metrics_flush_interval, and a moment
	since := time.Now()
	process.Eventually(t, 2*time.Minute, func() error {
		if now := value(t, prometheus, expr); now != v {
			v, since = now, time.Now()
		}
		if age := time.Since(since); age < flush || v == 0 {
			return fmt.Errorf("%s is %v since %v", expr, v, age)
		}
		return nil
	})
	return v
}
