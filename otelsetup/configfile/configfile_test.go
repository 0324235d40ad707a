package configfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/clewtrace/clew/internal/settings"
	_ "github.com/clewtrace/clew/otelsetup/configfile"
)

// read reads a file that has the text, in an environment.
func read(t *testing.T, text string, env map[string]string) (settings.Settings, []settings.Problem) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "otel.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings.Read(func(name string) (string, bool) {
		if name == "OTEL_CONFIG_FILE" {
			return path, true
		}
		v, ok := env[name]
		return v, ok
	})
}

// TestVariables replaces the references in a file: OpenTelemetry Configuration
// Data Model, "Environment variable substitution".
func TestVariables(t *testing.T) {
	env := map[string]string{"NAME": "shop", "RATIO": "0.5", "LIMIT": "7", "EMPTY": "", "INJECTION": "a\nlog_level: debug", "TWICE": "${NAME}"}
	for _, test := range []struct{ rule, value, want string }{
		{"a variable", "${NAME}", "shop"},
		{"with the prefix env", "${env:NAME}", "shop"},
		{"within a text", "my ${NAME}-1", "my shop-1"},
		{"a default", "${MISSING:-other}", "other"},
		{"a default for an empty one", "${EMPTY:-other}", "other"},
		{"a dollar", "$${NAME} costs 5$", "${NAME} costs 5$"},
		{"values are not replaced again", "${TWICE}", "${NAME}"},
		{"values have no structure", "${INJECTION}", "a\nlog_level: debug"},
		{"quoted, it stays a text", `"${LIMIT}"`, "7"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			s, problems := read(t, "file_format: \"1.0\"\nresource:\n  attributes:\n    - name: service.name\n      value: "+test.value+"\n", env)
			if s.ServiceName != test.want || len(problems) > 0 {
				t.Errorf("%q, problems %v, want %q", s.ServiceName, problems, test.want)
			}
		})
	}
	t.Run("the type is that of the value", func(t *testing.T) {
		s, problems := read(t, "file_format: \"1.0\"\ntracer_provider: {limits: {event_count_limit: '${LIMIT}'}, sampler: {trace_id_ratio_based: {ratio: '${RATIO}'}}}\ndisabled:\n  ${OFF:-false}\n", env)
		if s.SpanLimits.EventCountLimit != 7 || s.Sampler.Ratio != 0.5 || len(problems) > 0 {
			t.Errorf("%d, %v, problems %v", s.SpanLimits.EventCountLimit, s.Sampler.Ratio, problems)
		}
	})
}

// TestYAML reads what YAML allows.
func TestYAML(t *testing.T) {
	for rule, text := range map[string]string{
		"a document mark":      "---\nfile_format: \"1.0\"\nresource: {attributes: [{name: service.name, value: shop}]}\n",
		"anchors and aliases":  "file_format: \"1.0\"\ndistribution: {x: &name shop}\nresource: {attributes: [{name: service.name, value: *name}]}\n",
		"a byte order mark":    "\ufeff---\nfile_format: \"1.0\"\nresource: {attributes: [{name: service.name, value: shop}]}\n...\n",
		"a comment and a mark": "# ours\n--- # telemetry\nfile_format: \"1.0\"\nresource: {attributes: [{name: service.name, value: shop}]}\n",
		"an alias of a part":   "file_format: \"1.0\"\ndistribution: {x: &r {attributes: [{name: service.name, value: '${OTEL_SERVICE_NAME}'}]}}\nresource: *r\n",
		"a merged part":        "file_format: \"1.0\"\ndistribution: {x: &r {schema_url: x, attributes: [{name: service.name, value: shop}]}}\nresource: {<<: *r, schema_url: y}\n",
		"detectors":            "file_format: \"1.0\"\nresource: {detection/development: {detectors: [{service: }, {host: }]}}\n",
		"detectors by name":    "file_format: \"1.0\"\nresource: {detection/development: {detectors: [service, process]}}\n",
	} {
		t.Run(rule, func(t *testing.T) {
			s, problems := read(t, text, map[string]string{"OTEL_SERVICE_NAME": "shop"})
			if s.ServiceName != "shop" || len(problems) > 0 {
				t.Errorf("%q, problems %v", s.ServiceName, problems)
			}
		})
	}
	t.Run("without the detector service the variable does not count", func(t *testing.T) {
		if s, _ := read(t, "file_format: \"1.0\"\n", map[string]string{"OTEL_SERVICE_NAME": "shop"}); s.ServiceName != "" {
			t.Errorf("service %q", s.ServiceName)
		}
	})
}

// TestEmptyServiceName: an empty name is none.
func TestEmptyServiceName(t *testing.T) {
	for text, want := range map[string]string{
		"resource: {attributes_list: \"service.name=\"}":                                                                 "",
		"resource: {attributes: [{name: service.name, value: \"\"}]}":                                                    "",
		"resource: {attributes: [{name: service.name, value: \"${MISSING}\"}]}":                                          "",
		"resource: {attributes_list: \"service.name=shop\", attributes: [{name: service.name, value: \"\"}]}":            "shop",
		"resource: {attributes: [{name: service.name, value: \"\"}], detection/development: {detectors: [{service: }]}}": "other",
	} {
		s, problems := read(t, "file_format: \"1.0\"\n"+text+"\n", map[string]string{"OTEL_SERVICE_NAME": "other"})
		if len(problems) > 0 || s.ServiceName != want {
			t.Errorf("%s: %q, want %q; problems %v", text, s.ServiceName, want, problems)
		}
		for _, a := range s.Attributes {
			if a.Value.AsString() == "" {
				t.Errorf("%s: the attribute %s is empty", text, a.Key)
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	s, problems := read(t, `file_format: "1.0"
meter_provider:
  exemplar_filter: always_off
  readers:
    - periodic:
        interval: 5000
        exporter: {otlp_http: {temporality_preference: low_memory, default_histogram_aggregation: base2_exponential_bucket_histogram}}
  views:
    - selector: {instrument_name: orders, instrument_type: counter}
      stream: {name: sold, attribute_keys: {included: [shop], excluded: [user]}, aggregation: {drop: }}
    - selector: {instrument_name: duration}
      stream: {aggregation: {explicit_bucket_histogram: {boundaries: [1, 2.5], record_min_max: false}}}
    - selector: {instrument_name: size, instrument_type: scale}
`, nil)
	if len(problems) != 1 || !strings.Contains(problems[0].String(), `meter_provider.views[2]: instrument_type "scale" is not known, and ignored`) {
		t.Errorf("problems %v", problems)
	}
	m := s.Metrics
	if len(m.Readers) != 1 || len(m.Views) != 2 {
		t.Fatalf("%d readers and %d views", len(m.Readers), len(m.Views))
	}
	if r := m.Readers[0]; r.Interval.Seconds() != 5 || r.Temporality != "lowmemory" || r.Histogram != "base2_exponential_bucket_histogram" || r.OTLP.Endpoint.String() != "http://localhost:4318/v1/metrics" {
		t.Errorf("reader %+v", r)
	}
	if s, ok := m.Views[0](sdkmetric.Instrument{Name: "orders", Kind: sdkmetric.InstrumentKindCounter}); !ok || s.Name != "sold" || s.AttributeFilter == nil || s.Aggregation == nil {
		t.Errorf("view %+v", s)
	}
}

// TestFilesThatCannotBeUsed leave the variables in effect.
func TestFilesThatCannotBeUsed(t *testing.T) {
	for rule, test := range map[string]struct{ text, want string }{
		"no YAML":                  {"a: [", "must be a file of the declarative configuration: "},
		"a list":                   {"- a\n", "must be a file of the declarative configuration: "},
		"a reference that is none": {"a: ${1}\n", "${1} must be ${NAME} or ${NAME:-default}"},
	} {
		t.Run(rule, func(t *testing.T) {
			s, problems := read(t, test.text, map[string]string{"OTEL_SERVICE_NAME": "shop"})
			if len(problems) != 1 || !strings.Contains(problems[0].Reason, test.want) || problems[0].Using != "the other variables" || s.ServiceName != "shop" {
				t.Errorf("problems %v, service %q", problems, s.ServiceName)
			}
		})
	}
}

// TestPartsThatCannotBeUsed are a problem each, and only that.
func TestPartsThatCannotBeUsed(t *testing.T) {
	settings.Accept("OTEL_METRICS_EXPORTER", "prometheus")
	for _, test := range []struct{ rule, text, want string }{
		{"gRPC without its import", "tracer_provider: {processors: [{batch: {max_queue_size: 7, exporter: {otlp_grpc: {endpoint: http://h:4317}}}}]}", "tracer_provider.processors[0].batch.exporter: otlp_grpc is not available: grpc needs the import of github.com/clewtrace/clew/otelsetup/otlpgrpc"},
		{"an exporter of others", "logger_provider: {processors: [{simple: {exporter: {ours: {a: b}}}}]}", `logger_provider.processors[0].simple.exporter: unknown "ours", must be otlp_http, otlp_grpc or one of otlp or console`},
		{"Prometheus in a periodic reader", "meter_provider: {readers: [{periodic: {exporter: {prometheus: {port: 1}}}}]}", "meter_provider.readers[0].periodic.exporter: prometheus/development must stand in a pull reader, not in a periodic one"},
		{"a view of nothing", "meter_provider: {views: [{selector: {}, stream: {name: x}}]}", "meter_provider.views[0]: a view needs a selector, and ignored"},
		{"a view that gives many one name", "meter_provider: {views: [{selector: {instrument_name: 'a*'}, stream: {name: x}}]}", "meter_provider.views[0]: a view that renames must select one instrument by its whole name, and ignored"},
		{"boundaries that descend", "meter_provider: {views: [{selector: {instrument_name: a}, stream: {aggregation: {explicit_bucket_histogram: {boundaries: [3, 1]}}}}]}", "meter_provider.views[0]: boundaries must be in ascending order, and ignored"},
		{"attributes to detect", "resource: {detection/development: {attributes: {included: [a]}}}", "resource.detection/development.attributes: not supported, and ignored"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			_, problems := read(t, "file_format: 1.0\n"+test.text+"\n", nil)
			if len(problems) != 1 || problems[0].String() != "OTEL_CONFIG_FILE: "+test.want {
				t.Errorf("problems %v\nwant     %s", problems, test.want)
			}
		})
	}
}

func TestExportersThatArePluggedIn(t *testing.T) {
	settings.Accept("OTEL_TRACES_EXPORTER", "zipkin")
	settings.Accept("OTEL_METRICS_EXPORTER", "prometheus")
	s, problems := read(t, `file_format: "1.0"
tracer_provider: {processors: [{batch: {exporter: {zipkin: {endpoint: "http://h:9411/spans"}}}}]}
meter_provider: {readers: [{pull: {exporter: {prometheus/development: {port: 1}}}}]}
`, nil)
	if len(problems) > 0 {
		t.Error(problems)
	}
	for name, want := range map[string]string{
		"OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://h:9411/spans", "OTEL_EXPORTER_ZIPKIN_TIMEOUT": "10s",
		"OTEL_EXPORTER_PROMETHEUS_HOST": "localhost", "OTEL_EXPORTER_PROMETHEUS_PORT": "1",
	} {
		if got := fmt.Sprint(s.Values[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}
