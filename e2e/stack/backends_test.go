package stack_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/gobuild"
	"github.com/clewtrace/clew/e2e/internal/process"
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
	lokiBinary = sync.OnceValues(gobuild.Module{
		Name:        "loki",
		Path:        "github.com/grafana/loki/v3",
		Version:     "v3.7.8",
		Sum:         "h1:bJ0WFWVOjgvG/jYmT9fIX15SYXXDwuEu/IMgTwMA97U=",
		Program:     "./cmd/loki",
		DropReplace: []string{"github.com/grafana/loki/pkg/push"},
		Sums: []string{
			"github.com/grafana/loki/pkg/push v0.0.0-20250630054201-94c0ba7b0952 h1:rLzoJGDnoXsZV2j/2atL6OVk9AHluTbDOD8Ls9trtIA=",
			"github.com/grafana/loki/pkg/push v0.0.0-20250630054201-94c0ba7b0952/go.mod h1:ny/0bFitf8KNZkZfweaI4hmwb5XPhaFD2d0kVcyKmjo=",
		},
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

// startLoki returns the base URL of a Loki with our file.
func startLoki(t *testing.T) string {
	t.Helper()
	addrs, dir := process.FreeAddrs(t, 2), t.TempDir()
	process.Start(t, built(t, lokiBinary), []string{
		"-config.file=../../loki/loki.yaml",
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port=" + port(t, addrs[0]),
		"-server.grpc-listen-address=127.0.0.1", "-server.grpc-listen-port=" + port(t, addrs[1]),
		"-common.storage.ring.instance-addr=127.0.0.1", "-frontend.instance-addr=127.0.0.1",
		"-common.path-prefix=" + dir,
		"-common.storage.filesystem.chunk-directory=" + filepath.Join(dir, "chunks"),
		"-common.storage.filesystem.rules-directory=" + filepath.Join(dir, "rules"),
		"-log.level=warn",
	}, nil)
	awaitReady(t, "http://"+addrs[0]+"/ready")
	return "http://" + addrs[0]
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
	addrs := process.FreeAddrs(t, 3)
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

// series is a result of PromQL or LogQL: labels and values.
type series struct {
	Metric map[string]string // of PromQL, and of a metric query in LogQL
	Stream map[string]string // of a log query
	Value  [2]any            // of an instant query
	Values [][2]any          // of a range query
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
