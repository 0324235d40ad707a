package stack_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// dashboard is what the tests read of a file in grafana/dashboards.
type dashboard struct {
	UID, Title, Description string
	Templating              struct {
		List []struct {
			Name  string
			Query struct{ Query string }
		}
	}
	Panels []panel
}

type panel struct {
	Type, Title, Description string
	Datasource               struct{ Type, UID string }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ RefID, Expr, QueryType, Query string }
}

func dashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob("../../grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	boards := make(map[string]dashboard)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		boards[filepath.Base(file)] = d
	}
	return boards
}

func TestPanelsSayWhatTheyShow(t *testing.T) {
	ids := make(map[string]string)
	for file, d := range dashboards(t) {
		if other, taken := ids[d.UID]; taken || d.UID == "" || d.Description == "" {
			t.Errorf("%s: uid %q (also of %q), description %q", file, d.UID, other, d.Description)
		}
		ids[d.UID] = file
		variables := make(map[string]bool)
		for _, v := range d.Templating.List {
			variables[v.Name] = true
		}
		if !variables["service"] || !variables["environment"] {
			t.Errorf("%s: variables %v, want service and environment", file, variables)
		}
		for _, p := range d.Panels {
			if p.Type == "row" {
				continue
			}
			if p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
				t.Errorf("%s: panel %q has the description %q and the unit %q", file, p.Title, p.Description, p.FieldConfig.Defaults.Unit)
			}
			if p.Datasource.Type != p.Datasource.UID || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks %+v for %d things", file, p.Title, p.Datasource, len(p.Targets))
			}
		}
	}
}

// variables are what Grafana replaces, and what everything is asked with here.
var variables = strings.NewReplacer(
	"$service", ".+", "$environment", ".*", "$__rate_interval", "1m", "$__auto", "1m",
	"$__tags", `service_name="payment"`,
)

// TestDashboards asks every question of every dashboard while a shop runs, whose
// services sample adaptively, and a sender that is in trouble.
func TestDashboards(t *testing.T) {
	s := startStores(t)
	collector := startCollector(t, "tail.yaml", nil, s.behind()...)
	refuseTraces(t, s)
	startTroubledSender(t, s)
	shop := startShop(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+collector.http, "OTEL_TRACES_SAMPLER=parentbased_adaptive", "OTEL_TRACES_SAMPLER_ARG=5")
	shop.customers(10, 0)

	asked := 0
	for file, d := range dashboards(t) {
		for _, v := range d.Templating.List {
			label := strings.TrimSuffix(strings.TrimPrefix(v.Query.Query, "label_values("), ")")
			s.expectData(t, s.prometheus+"/api/v1/label/"+label+"/values")
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				asked++
				t.Run(fmt.Sprintf("%s/%s/%s", file, p.Title, target.RefID), func(t *testing.T) {
					s.ask(t, p.Datasource.UID, target.QueryType, variables.Replace(target.Expr+target.Query))
				})
			}
		}
	}
	for name, expr := range linkedQueries(t) {
		asked++
		t.Run(name, func(t *testing.T) { s.ask(t, "prometheus", "", variables.Replace(expr)) })
	}
	t.Logf("%d queries asked", asked)
}

// serviceMap are the metrics that Grafana draws the service map from.
var serviceMap = []string{
	"traces_service_graph_request_total", "traces_service_graph_request_failed_total",
	"traces_service_graph_request_server_seconds_sum", "traces_service_graph_request_server_seconds_bucket",
}

// ask fails the test unless the query has data for its answer.
func (s stores) ask(t *testing.T, store, queryType, expr string) {
	t.Helper()
	switch {
	case store == "prometheus":
		s.expectData(t, s.prometheus+"/api/v1/query?query="+url.QueryEscape(expr))
	case store == "loki":
		s.expectData(t, s.loki+"/loki/api/v1/query_range?since=15m&step=15s&query="+url.QueryEscape(expr))
	case queryType == "serviceMap":
		for _, metric := range serviceMap {
			s.ask(t, "prometheus", "", metric)
		}
	case queryType == "traceql":
		if err := checkTraceQL(expr); err != nil {
			t.Error(err)
		}
	default:
		t.Errorf("there is no check of a query of type %q for %q", queryType, store)
	}
}

// expectData waits until the answer holds a number, or a string.
func (s stores) expectData(t *testing.T, url string) {
	t.Helper()
	process.Eventually(t, 90*time.Second, func() error {
		var answer struct{ Data json.RawMessage }
		if _, err := get(t, url, &answer); err != nil {
			t.Fatal(err) // it will not get better
		}
		var labels []string
		if json.Unmarshal(answer.Data, &labels) == nil && len(labels) > 0 {
			return nil
		}
		var results struct{ Result []series }
		if json.Unmarshal(answer.Data, &results) == nil {
			for _, r := range results.Result {
				if len(r.Stream) > 0 || number(r.Value[1]) || len(r.Values) > 0 && number(r.Values[0][1]) {
					return nil
				}
			}
		}
		return fmt.Errorf("no data: %s", url)
	})
}

func number(v any) bool {
	text, _ := v.(string)
	var f float64
	_, err := fmt.Sscan(text, &f)
	return err == nil && !math.IsNaN(f)
}

// refuseTraces runs a Collector whose traces nobody takes.
func refuseTraces(t *testing.T, s stores) {
	t.Helper()
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	t.Cleanup(refusing.Close)
	c := startCollector(t, "tail.yaml", nil, "TEMPO_URL="+refusing.URL, "PROMETHEUS_URL="+s.prometheus, "LOKI_URL="+s.loki, "HOSTNAME=refused")
	failed := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"failed","status":{"code":2}}]}]}]}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+c.http+"/v1/traces", strings.NewReader(failed))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}
