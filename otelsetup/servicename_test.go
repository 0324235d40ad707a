package otelsetup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"

	_ "github.com/clewtrace/clew/otelsetup/configfile"
)

// TestEmptyServiceName leaves the name empty wherever it can be set: the default
// applies, or the other name that is set.
func TestEmptyServiceName(t *testing.T) {
	file := filepath.Join(t.TempDir(), "otel.yaml")
	const exports = "tracer_provider: {processors: [{batch: {exporter: {otlp_http: {endpoint: \"${OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces\"}}}}]}\n"
	for _, test := range []struct {
		name, attributes, file, want string
	}{
		{"", "service.name=", "", "unknown_service:"},
		{"", "service.name=,team=blue", "", "unknown_service:"},
		{" ", "service.name= ", "", "unknown_service:"},
		{"shop", "service.name=", "", "shop"},
		{"", "service.name=shop", "", "shop"},
		{"", "", "resource: {attributes_list: \"service.name=\"}", "unknown_service:"},
		{"", "", "resource: {attributes: [{name: service.name, value: \"\"}]}", "unknown_service:"},
		{"", "", "resource: {attributes_list: \"service.name=shop\", attributes: [{name: service.name, value: \"\"}]}", "shop"},
	} {
		t.Run(test.name+test.attributes+test.file, func(t *testing.T) {
			t.Setenv("OTEL_SERVICE_NAME", test.name)
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", test.attributes)
			if test.file != "" {
				if err := os.WriteFile(file, []byte("file_format: \"1.0\"\n"+exports+test.file+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("OTEL_CONFIG_FILE", file)
			}
			store, _, flush := start(t)
			_, span := otel.Tracer("test").Start(t.Context(), "work")
			span.End()
			flush()
			if got := store.Spans()[0].Service(); !strings.HasPrefix(got, test.want) {
				t.Errorf("service %q, want %q", got, test.want)
			}
		})
	}
}
