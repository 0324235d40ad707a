package settings_test

import (
	"testing"

	"github.com/clewtrace/clew/internal/settings"
)

func TestMisspeltNamesAreRecognised(t *testing.T) {
	for name, want := range map[string]string{
		"OTEL_SERVICENAME":             "OTEL_SERVICE_NAME",
		"OTEL_EXPORTER_OTPL_ENDPOINT":  "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_TRACE_EXPORTER":          "OTEL_TRACES_EXPORTER",
		"OTEL_TRACES_SAMPLERS_ARG":     "OTEL_TRACES_SAMPLER_ARG",
		"otel_service_name":            "OTEL_SERVICE_NAME",
		"CLEW_DELIVERY_SPOOLDIR":       "CLEW_DELIVERY_SPOOL_DIR",
		"OTEL_PYTHON_LOG_CORRELATION":  "",
		"OTEL_GO_X_OBSERVABILITY":      "",
		"OTEL_JAVAAGENT_DEBUG":         "",
		"OTEL_INSTRUMENTATION_ENABLED": "",
	} {
		problems, unknown := new(settings.Settings).Misspelt([]string{name + "=x", "HOME=/", "OTEL_SERVICE_NAME=x", "OTEL_SERVICENAM="})
		switch {
		case want == "" && (len(problems) > 0 || len(unknown) != 1 || unknown[0] != name):
			t.Errorf("%s: problems %v, unknown %q", name, problems, unknown)
		case want != "" && (len(problems) != 1 || problems[0].Name != name || problems[0].Reason != "not a variable that is read; did you mean "+want+"?"):
			t.Errorf("%s: %v, want %s", name, problems, want)
		}
	}
}

// TestNamesThatAreRead belong to what is plugged in, or are not meant to be read.
func TestNamesThatAreRead(t *testing.T) {
	environ := []string{"OTEL_EXPORTER_OURS_ENDPOINT=x", "OTEL_SERVICENAME=x"}
	s, _ := settings.Read(func(string) (string, bool) { return "", false })
	s.Lookup("OTEL_EXPORTER_OURS_ENDPOINT")
	if problems, _ := s.Misspelt(environ); len(problems) != 1 || problems[0].Name != "OTEL_SERVICENAME" {
		t.Errorf("problems %v", problems)
	}
	s.ConfigFile = "otel.yaml"
	if problems, unknown := s.Misspelt(environ); len(problems)+len(unknown) > 0 {
		t.Errorf("problems %v, unknown %v", problems, unknown)
	}
}
