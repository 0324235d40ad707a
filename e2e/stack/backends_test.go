package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/gobuild"
	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

var (
	prometheusBinary = sync.OnceValues(gobuild.Module{
		Name:    "prometheus",
		Path:    "github.com/prometheus/prometheus",
		Version: "v0.315.0",
		Sum:     "h1:sFGZWmC2Hk9N1NBJGCnXYZb5hyLCq8yuAMoEjLAg6ac=",
		Program: "./cmd/prometheus",
		Tags:    []string{"remove_all_sd"}, // it scrapes nothing; a third of the build
	}.Build)
	collectorBinary = sync.OnceValues(func() (string, error) { return gobuild.Main("collector", "collector") })
)

// prometheusFlags are those that prometheus.yaml asks for.
var prometheusFlags = []string{
	"--web.enable-otlp-receiver",
	"--web.enable-remote-write-receiver",
	"--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
}

// startPrometheus returns the base URL of a Prometheus with our file.
func startPrometheus(t *testing.T) string {
	t.Helper()
	addr := process.FreeAddrs(t, 1)[0]
	process.Start(t, built(t, prometheusBinary), append([]string{
		"--config.file=../../prometheus/prometheus.yaml",
		"--storage.tsdb.path=" + t.TempDir(),
		"--web.listen-address=" + addr,
		"--log.level=warn",
	}, prometheusFlags...), nil)
	awaitReady(t, "http://"+addr+"/-/ready")
	return "http://" + addr
}

// logStore stands in Loki's place: it takes OTLP at Loki's path, and keeps all.
type logStore struct {
	otlpreceiver.Store
	url string // base URL
}

func startLogStore(t *testing.T) *logStore {
	t.Helper()
	s := new(logStore)
	server := httptest.NewServer(http.StripPrefix("/otlp", s.Handler()))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// find returns what a query finds: numbers of records by group, under "" if it
// does not group.
func (s *logStore) find(t *testing.T, query string) map[string]int {
	t.Helper()
	q, err := parseLogQL(query, indexLabels(t))
	if err != nil {
		t.Fatal(err)
	}
	return q.count(s.Logs())
}

// collector is a running OpenTelemetry Collector.
type collector struct {
	*process.Process
	grpc, http string // addresses of the receivers
}

// startCollector runs a Collector with one of our files, further arguments, and
// the variables that say where the rest of the stack is.
func startCollector(t *testing.T, file string, args []string, env ...string) collector {
	t.Helper()
	return startCollectorAt(t, process.FreeAddrs(t, 3), file, args, env...)
}

// startCollectorAt is told the addresses of gRPC, HTTP and the health check.
func startCollectorAt(t *testing.T, addrs []string, file string, args []string, env ...string) collector {
	t.Helper()
	c := collector{grpc: addrs[0], http: addrs[1]}
	c.Process = process.Start(t, built(t, collectorBinary), append([]string{"--config=../../collector/" + file}, args...),
		append([]string{"OTLP_GRPC=" + c.grpc, "OTLP_HTTP=" + c.http, "HEALTH=" + addrs[2]}, env...))
	awaitReady(t, "http://"+addrs[2]+"/")
	return c
}

func built(t *testing.T, binary func() (string, error)) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	process.Eventually(t, time.Minute, func() error {
		_, err := get(t, url, nil)
		return err
	})
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// get asks url, and reads an answer in JSON into out, unless that is nil.
func get(t *testing.T, url string, out any) ([]byte, error) {
	t.Helper()
	return do(t, http.MethodGet, url, nil, out)
}

func do(t *testing.T, method, url string, body io.Reader, out any) ([]byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.500s", method, url, res.Status, answer)
	}
	if err == nil && out != nil {
		err = json.Unmarshal(answer, out)
	}
	return answer, err
}

// series is a result of PromQL: labels and values.
type series struct {
	Metric map[string]string
	Value  [2]any   // of an instant query
	Values [][2]any // of a range query
}

// query runs an instant query at Prometheus.
func query(t *testing.T, prometheus, expr string) []series {
	t.Helper()
	var answer struct{ Data struct{ Result []series } }
	if _, err := get(t, prometheus+"/api/v1/query?query="+url.QueryEscape(expr), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Data.Result
}

// value runs an instant query that has one number as its result. Nothing is 0.
func value(t *testing.T, prometheus, expr string) float64 {
	t.Helper()
	result := query(t, prometheus, expr)
	if len(result) == 0 {
		return 0
	}
	var v float64
	if _, err := fmt.Sscan(result[0].Value[1].(string), &v); err != nil || len(result) > 1 {
		t.Fatalf("%s: %v, %v: want one number", expr, result, err)
	}
	return v
}
