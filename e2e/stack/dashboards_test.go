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
	"regexp"
	"slices"
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
	FieldConfig              struct {
		Defaults struct{ Unit, NoValue string }
	}
	Targets []struct{ RefID, Expr, QueryType, Query string }
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
			checkNoValue(t, file, p)
			if p.Datasource.Type != p.Datasource.UID || len(p.Targets) == 0 {
				t.Errorf("%s: panel %q asks %+v for %d things", file, p.Title, p.Datasource, len(p.Targets))
			}
		}
	}
}

// checkNoValue wants an empty panel to say why it is empty, and what would fill it
// to be there.
func checkNoValue(t *testing.T, file string, p panel) {
	t.Helper()
	text := p.FieldConfig.Defaults.NoValue
	if !strings.HasSuffix(text, ".") && !strings.Contains(text, ": ") {
		t.Errorf("%s: panel %q says %q when it is empty", file, p.Title, text)
	}
	if strings.Contains(text, "OTLP_PROTOCOL") {
		t.Errorf("%s: panel %q asks for a protocol, and delivery does the same with all of them: %q", file, p.Title, text)
	}
	if _, rest, ok := strings.Cut(text, "--env-file "); ok {
		if _, err := os.Stat(filepath.Join("../..", strings.Fields(rest)[0])); err != nil {
			t.Errorf("%s: panel %q: %v", file, p.Title, err)
		}
	}
}

// A regular expression in TraceQL does not match what is absent, as one in PromQL
// does: services that name no environment have to be asked for.
func TestEnvironmentMayBeAbsent(t *testing.T) {
	const chosen = `resource.deployment.environment.name =~ "$environment"`
	for file, d := range dashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				rest := strings.ReplaceAll(target.Query, "("+chosen+" || resource.deployment.environment.name = nil)", "")
				if rest == target.Query && target.QueryType == "traceql" || strings.Contains(rest, "$environment") {
					t.Errorf("%s: panel %q leaves out services without an environment: %s", file, p.Title, target.Query)
				}
			}
		}
	}
}

// timeRanges are what dashboards are looked at over, with the step that Grafana
// takes for panels of about 1000 points.
var timeRanges = []struct{ lasts, step time.Duration }{
	{time.Hour, scrapeInterval}, {24 * time.Hour, 2 * time.Minute}, {7 * 24 * time.Hour, 10 * time.Minute},
}

// scrapeInterval is timeInterval of grafana/provisioning/datasources/prometheus.yaml.
const scrapeInterval = 15 * time.Second

// replaceVariables does what Grafana does to a query before it asks.
func replaceVariables(query string, step time.Duration) string {
	return strings.NewReplacer(
		"$service", ".+", "$environment", ".*", "$__tags", `service_name="payment"`,
		"$__rate_interval", fmt.Sprint(int(max(step+scrapeInterval, 4*scrapeInterval).Seconds()), "s"),
		"$__auto", fmt.Sprint(int(step.Seconds()), "s"),
	).Replace(query)
}

// TestDashboards asks every question of every dashboard and document while a shop
// runs, whose services sample adaptively, and a sender that is in trouble.
func TestDashboards(t *testing.T) {
	t.Parallel()
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
					s.ask(t, p.Datasource.UID, target.QueryType, target.Expr+target.Query)
				})
			}
		}
	}
	for name, expr := range linkedQueries(t) {
		asked++
		t.Run(name, func(t *testing.T) { s.ask(t, "prometheus", "", expr) })
	}
	for language, queries := range documentedQueries(t) {
		for _, query := range queries {
			asked++
			store := map[string]string{"promql": "prometheus", "logql": "loki", "traceql": "tempo"}[language]
			t.Run("documents", func(t *testing.T) { s.ask(t, store, language, query) })
		}
	}
	t.Logf("%d queries asked", asked)
}

// documentedQueries are those in docs/stack.md, by language.
func documentedQueries(t *testing.T) map[string][]string {
	t.Helper()
	content, err := os.ReadFile("../../docs/stack.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, block := range regexp.MustCompile("(?s)```(promql|logql|traceql)\n(.*?)```").FindAllStringSubmatch(string(content), -1) {
		found[block[1]] = append(found[block[1]], block[2])
	}
	if len(found) != 3 {
		t.Errorf("docs/stack.md has queries in %d languages", len(found))
	}
	return found
}

// serviceMap are the metrics that Grafana draws the service map from.
var serviceMap = []string{
	"traces_service_graph_request_total", "traces_service_graph_request_failed_total",
	"traces_service_graph_request_server_seconds_sum", "traces_service_graph_request_server_seconds_bucket",
}

// ask fails the test unless the query, in which Grafana's variables stand, has data
// for its answer, now and over every time that the dashboards show.
func (s stores) ask(t *testing.T, store, queryType, expr string) {
	t.Helper()
	now := replaceVariables(expr, scrapeInterval)
	switch {
	case store == "prometheus":
		s.expectData(t, s.prometheus+"/api/v1/query?query="+url.QueryEscape(now))
		for _, r := range timeRanges {
			end := time.Now()
			s.expectData(t, s.prometheus+"/api/v1/query_range?"+url.Values{
				"query": {replaceVariables(expr, r.step)}, "step": {fmt.Sprint(r.step.Seconds())},
				"start": {end.Add(-r.lasts).Format(time.RFC3339Nano)}, "end": {end.Format(time.RFC3339Nano)},
			}.Encode())
		}
	case store == "loki":
		// Of a trace that somebody has looked for, there is no other.
		now = regexp.MustCompile(`trace_id="[0-9a-f]{32}"`).ReplaceAllString(now, `trace_id!=""`)
		process.Eventually(t, 90*time.Second, func() error {
			if len(s.logs.find(t, now)) == 0 {
				return fmt.Errorf("no data: %s", now)
			}
			return nil
		})
	case queryType == "serviceMap":
		for _, metric := range serviceMap {
			s.ask(t, "prometheus", "", metric)
		}
	case queryType == "traceql":
		if err := checkTraceQL(now); err != nil {
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
				if number(r.Value[1]) || slices.ContainsFunc(r.Values, func(v [2]any) bool { return number(v[1]) }) {
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
