package otelsetup_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
)

func TestReport(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_HEADERS":        "api-key=topsecret",
		"OTEL_EXPORTER_OTLP_LOGS_HEADERS":   "topsecret",
		"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "200",
		"OTEL_EXPORTER_OTLP_TIMEOUT":        "100",
		"OTEL_EXPORTER_OTLP_ENDPOINT":       "http://user:topsecret@127.0.0.1:1",
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT":  "http://topsecret@127.0.0.1:1/v1?api-key=topsecret&tenant=7",
		"OTEL_TRACES_SAMPLER":               "Always_On",
		"OTEL_BSP_MAX_QUEUE_SIZE":           "-1",
		"OTEL_RESOURCE_ATTRIBUTES":          "team=blue",
		"CLEW_DELIVERY_QUEUE_SIZE":          "1000000",
	} {
		t.Setenv(name, value)
	}
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.Customize(extend.Customizers{Sampler: func(s sdktrace.Sampler) sdktrace.Sampler { return s }}))
	if err != nil {
		t.Fatal(err)
	}
	defer telemetry.Shutdown(expired()) //nolint:errcheck // nothing listens there
	report := telemetry.Report()
	for _, want := range []otelsetup.Setting{
		{Name: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Value: "200", Source: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"},
		{Name: "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", Value: "100", Source: "OTEL_EXPORTER_OTLP_TIMEOUT"},
		{Name: "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", Value: "none", Source: "default"},
		{Name: "OTEL_EXPORTER_OTLP_METRICS_HEADERS", Value: "Api-Key=***", Source: "OTEL_EXPORTER_OTLP_HEADERS"},
		{Name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Value: "http://REDACTED:REDACTED@127.0.0.1:1/v1/traces", Source: "OTEL_EXPORTER_OTLP_ENDPOINT"},
		{Name: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", Value: "http://REDACTED:REDACTED@127.0.0.1:1/v1?api-key=REDACTED&tenant=7", Source: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"},
		{Name: "OTEL_TRACES_SAMPLER", Value: "always_on", Source: "OTEL_TRACES_SAMPLER"},
		{Name: "OTEL_BSP_MAX_QUEUE_SIZE", Value: "no limit", Source: "default"},
		{Name: "OTEL_RESOURCE_ATTRIBUTES", Value: "team=blue", Source: "OTEL_RESOURCE_ATTRIBUTES"},
		{Name: "CLEW_DELIVERY_QUEUE_SIZE", Value: "1000000", Source: "CLEW_DELIVERY_QUEUE_SIZE"},
		{Name: "CLEW_DELIVERY_SPOOL_DIR", Value: "none", Source: "default"},
		{Name: "Customize", Value: "Sampler", Source: "code"},
	} {
		if !slices.Contains(report.Settings, want) {
			t.Errorf("the report has no %+v", want)
		}
	}
	text := report.String()
	if !strings.Contains(text, `problem: OTEL_BSP_MAX_QUEUE_SIZE="-1": must be`) {
		t.Error("the report does not have the problem")
	}
	encoded, jsonErr := json.Marshal(report)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	var decoded otelsetup.Report
	if err := json.Unmarshal(encoded, &decoded); err != nil || !reflect.DeepEqual(decoded, report) {
		t.Errorf("as JSON and back: %v, %+v", err, decoded)
	}
	for _, s := range []string{text, string(encoded)} {
		if strings.Contains(s, "topsecret") {
			t.Errorf("a secret is shown: %s", s)
		}
	}
}

// TestReportOfWhatCannotBeMade: a setting that is right by itself, and that nothing can
// be made of, is not in effect.
func TestReportOfWhatCannotBeMade(t *testing.T) {
	for _, test := range []struct {
		rule string
		env  map[string]string
		want []otelsetup.Setting
	}{
		{
			"a sampler with a wrong argument", map[string]string{"OTEL_TRACES_SAMPLER": "adaptive", "OTEL_TRACES_SAMPLER_ARG": "many"},
			[]otelsetup.Setting{{Name: "OTEL_TRACES_SAMPLER", Value: "parentbased_always_on", Source: "default"}},
		},
		{
			"a spool without a directory", map[string]string{"CLEW_DELIVERY_JOURNAL": "true", "CLEW_DELIVERY_SPOOL_SIZE": "9000000"},
			[]otelsetup.Setting{{Name: "CLEW_DELIVERY_JOURNAL", Value: "false", Source: "default"}, {Name: "CLEW_DELIVERY_SPOOL_SIZE", Value: "268435456", Source: "default"}},
		},
		{
			"a directory that cannot be one", map[string]string{"CLEW_DELIVERY_SPOOL_DIR": os.DevNull, "CLEW_DELIVERY_JOURNAL": "true"},
			[]otelsetup.Setting{{Name: "CLEW_DELIVERY_SPOOL_DIR", Value: "none", Source: "default"}, {Name: "CLEW_DELIVERY_JOURNAL", Value: "false", Source: "default"}},
		},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer telemetry.Shutdown(expired()) //nolint:errcheck // nothing listens there
			for _, want := range test.want {
				if !slices.Contains(telemetry.Report().Settings, want) {
					t.Errorf("the report has no %+v:\n%s", want, telemetry.Report())
				}
			}
			if len(telemetry.Report().Problems) == 0 {
				t.Error("the report has no problem")
			}
		})
	}
}

func ExampleReport() {
	report := otelsetup.Report{
		Settings: []otelsetup.Setting{
			{Name: "OTEL_SERVICE_NAME", Value: "checkout", Source: "OTEL_SERVICE_NAME"},
			{Name: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", Value: "10000", Source: "default"},
		},
		Problems: []otelsetup.Problem{{
			Name: "OTEL_BSP_MAX_QUEUE_SIZE", Value: "-1", Reason: "must be a whole number from 1 to 1048576", Using: "no limit",
		}},
	}
	fmt.Print(report)
	// Output:
	// OTEL_SERVICE_NAME                  checkout  OTEL_SERVICE_NAME
	// OTEL_EXPORTER_OTLP_TRACES_TIMEOUT  10000     default
	// problem: OTEL_BSP_MAX_QUEUE_SIZE="-1": must be a whole number from 1 to 1048576; using no limit
}
