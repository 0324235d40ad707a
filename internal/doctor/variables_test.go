package doctor

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestVariablesAreThoseOfTheDocs fails when otelsetup reads a variable that is
// not known here.
func TestVariablesAreThoseOfTheDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/environment.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile("`(OTEL_[A-Z_]+[A-Z])`").FindAllStringSubmatch(string(page), -1) {
		if !slices.Contains(variables, name[1]) {
			t.Errorf("%s is not known", name[1])
		}
	}
}

func TestNearest(t *testing.T) {
	for name, want := range map[string]string{
		"OTEL_SERVICENAME":             "OTEL_SERVICE_NAME",
		"OTEL_EXPORTER_OTPL_ENDPOINT":  "OTEL_EXPORTER_OTLP_ENDPOINT",
		"OTEL_TRACE_EXPORTER":          "OTEL_TRACES_EXPORTER",
		"OTEL_TRACES_SAMPLERS_ARG":     "OTEL_TRACES_SAMPLER_ARG",
		"OTEL_PYTHON_LOG_CORRELATION":  "",
		"OTEL_GO_X_OBSERVABILITY":      "",
		"OTEL_JAVAAGENT_DEBUG":         "",
		"OTEL_INSTRUMENTATION_ENABLED": "",
	} {
		if got := nearest(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestRepeatedCredentialsAreMasked(t *testing.T) {
	var s send
	s.Headers = map[string]string{"Authorization": "Bearer s3cr3t", "Api-Key": "k3yk3y"}
	if got, want := s.masked("no s3cr3t,\n\x1b[31m k3yk3y"), `no ***, \x1b[31m ***`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
