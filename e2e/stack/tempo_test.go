package stack_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestTempoConfiguration checks tempo.yaml against what makes Tempo 3 refuse to
// start. Tempo itself is not published as a Go module, so it is not run here.
func TestTempoConfiguration(t *testing.T) {
	content, err := os.ReadFile("../../tempo/tempo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(os.Expand(string(content), func(name string) string {
		if name != "METRICS_PROCESSORS" {
			t.Errorf("tempo.yaml asks for the variable %s, which compose does not set", name)
		}
		return "[service-graphs,span-metrics]"
	})), &config); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = config
		for key := range strings.SplitSeq(path, ".") {
			m, _ := v.(map[string]any)
			v = m[key]
		}
		return v
	}
	for _, path := range []string{
		"ingester", "ingester_client", "compactor", "ingest.enabled", "search_enabled", "metrics_generator.traces_storage",
		"metrics_generator.processor.local_blocks", "query_frontend.search.query_ingesters_until", "querier.query_live_store",
	} {
		if at(path) != nil {
			t.Errorf("%s: Tempo 3 does not start with it", path)
		}
	}
	overrides, _ := at("overrides").(map[string]any)
	for key := range overrides {
		if key != "defaults" {
			t.Errorf("overrides.%s: Tempo 3 does not start with flat overrides", key)
		}
	}
	for path, want := range map[string]any{
		"distributor.receivers.otlp.protocols.http.endpoint": "0.0.0.0:4318",
		"distributor.receivers.otlp.protocols.grpc.endpoint": "0.0.0.0:4317",
		"storage.trace.backend":                              "local",
		"usage_report.reporting_enabled":                     false,
		"stream_over_http_enabled":                           true, // the data source streams
	} {
		if at(path) != want {
			t.Errorf("%s is %v, want %v", path, at(path), want)
		}
	}
	const week = 7 * 24 * time.Hour
	for path, want := range map[string]time.Duration{
		"query_frontend.metrics.max_duration":                  week, // the longest time that the dashboards are tested with
		"live_store.wal.ingestion_time_range_slack":            24 * time.Hour,
		"query_frontend.search.query_backend_after":            2 * time.Hour,
		"metrics_generator.metrics_ingestion_time_range_slack": time.Hour,
	} {
		text, _ := at(path).(string)
		if d, err := time.ParseDuration(text); err != nil || d < want {
			t.Errorf("%s is %q, want %v or more", path, text, want)
		}
	}
	processors, _ := at("overrides.defaults.metrics_generator.processors").([]any)
	if !slices.Equal(processors, []any{"service-graphs", "span-metrics"}) {
		t.Errorf("processors %v", processors)
	}
	for _, path := range []string{"storage.trace.wal.path", "storage.trace.local.path", "metrics_generator.storage.path"} {
		if dir, _ := at(path).(string); !strings.HasPrefix(dir, "/var/tempo/") {
			t.Errorf("%s is %q, which is not on the volume", path, dir)
		}
	}
}
