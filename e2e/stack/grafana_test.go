package stack_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// datasource is what the tests read of grafana/provisioning/datasources.
type datasource struct {
	UID, Type string
	JSONData  struct {
		Exemplars []struct {
			Name          string
			DatasourceUID string `yaml:"datasourceUid"`
		} `yaml:"exemplarTraceIdDestinations"`
		DerivedFields []struct {
			MatcherType   string `yaml:"matcherType"`
			MatcherRegex  string `yaml:"matcherRegex"`
			URL           string
			DatasourceUID string `yaml:"datasourceUid"`
		} `yaml:"derivedFields"`
		ServiceMap struct {
			DatasourceUID string `yaml:"datasourceUid"`
		} `yaml:"serviceMap"`
		NodeGraph    struct{ Enabled bool } `yaml:"nodeGraph"`
		TracesToLogs struct {
			DatasourceUID string `yaml:"datasourceUid"`
			CustomQuery   bool   `yaml:"customQuery"`
			Query         string
		} `yaml:"tracesToLogsV2"`
		TracesToMetrics struct {
			DatasourceUID string `yaml:"datasourceUid"`
			Queries       []struct{ Name, Query string }
		} `yaml:"tracesToMetrics"`
	} `yaml:"jsonData"`
}

// datasources returns them by uid, with "$$" as Grafana reads it.
func datasources(t *testing.T) map[string]datasource {
	t.Helper()
	files, err := filepath.Glob("../../grafana/provisioning/datasources/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]datasource)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// A single "$" is a variable of the environment.
		for i, part := range strings.Split(string(content), "$$") {
			if i > 0 && strings.HasPrefix(part, "$") || strings.Contains(part, "$") {
				t.Errorf("%s: %q has a single $", file, part)
			}
		}
		var f struct{ Datasources []datasource }
		if err := yaml.Unmarshal([]byte(strings.ReplaceAll(string(content), "$$", "$")), &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, d := range f.Datasources {
			found[d.UID] = d
		}
	}
	return found
}

// linkedQueries are those that Grafana asks about a span.
func linkedQueries(t *testing.T) map[string]string {
	t.Helper()
	queries := make(map[string]string)
	for _, q := range datasources(t)["tempo"].JSONData.TracesToMetrics.Queries {
		queries["trace to metrics: "+q.Name] = q.Query
	}
	if len(queries) == 0 {
		t.Error("no queries lead from a trace to metrics")
	}
	return queries
}

// TestLinks checks that every way from one signal to another leads to a data
// source that is there.
func TestLinks(t *testing.T) {
	found := datasources(t)
	for _, uid := range []string{"tempo", "prometheus", "loki"} {
		if found[uid].Type != uid {
			t.Errorf("data source %q is of type %q", uid, found[uid].Type)
		}
	}
	tempo, prometheus, loki := found["tempo"].JSONData, found["prometheus"].JSONData, found["loki"].JSONData
	if logs := tempo.TracesToLogs; logs.DatasourceUID != "loki" || !logs.CustomQuery || logs.Query != `{service_name=~".+"} | trace_id="${__trace.traceId}"` {
		t.Errorf("trace to logs: %+v, want one query over all services", logs)
	}
	if tempo.TracesToMetrics.DatasourceUID != "prometheus" || tempo.ServiceMap.DatasourceUID != "prometheus" || !tempo.NodeGraph.Enabled {
		t.Errorf("trace to metrics %+v, service map %+v, node graph %+v", tempo.TracesToMetrics, tempo.ServiceMap, tempo.NodeGraph)
	}
	names := make(map[string]string)
	for _, e := range prometheus.Exemplars {
		names[e.Name] = e.DatasourceUID
	}
	if names["trace_id"] != "tempo" || names["traceID"] != "tempo" {
		t.Errorf("exemplars lead to %v, want to tempo from trace_id and traceID", names)
	}
	if len(loki.DerivedFields) != 1 {
		t.Fatalf("%d derived fields, want the trace id", len(loki.DerivedFields))
	}
	if f := loki.DerivedFields[0]; f.MatcherType != "label" || f.MatcherRegex != "trace_id" || f.DatasourceUID != "tempo" || f.URL != "${__value.raw}" {
		t.Errorf("log line to trace: %+v", f)
	}
}
