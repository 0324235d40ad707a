package auto_test

import (
	"strings"
	"testing"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// TestSettings looks at what a program prints of its variables: one that cannot
// be used is named, and nothing else is told.
func TestSettings(t *testing.T) {
	path := build(t, module(t, "exits"))
	for _, test := range []struct {
		rule string
		env  []string
		want string // in the only line, or no line
	}{
		{"nothing to tell", []string{"CLEW_AUTO_EXIT_TIMEOUT=0", "CLEW_AUTO_HEALTH_PATHS=none"}, ""},
		{"a duration", []string{"CLEW_AUTO_EXIT_TIMEOUT=soon"}, `CLEW_AUTO_EXIT_TIMEOUT=\"soon\": must be a whole number of milliseconds from 0 to 2147483647; using 1000`},
		{"a boolean", []string{"CLEW_AUTO_LOG_IDS=maybe"}, `CLEW_AUTO_LOG_IDS=\"maybe\": must be true or false; using true`},
		{"the switch", []string{"CLEW_AUTO=off"}, `CLEW_AUTO=\"off\": must be true or false; using true`},
		{"paths", []string{"CLEW_AUTO_HEALTH_PATHS=/up,healthz"}, `CLEW_AUTO_HEALTH_PATHS=\"/up,healthz\": must be paths that begin with /, separated by commas, or none; using /healthz`},
		{"a misspelt name", []string{"CLEW_AUTO_LOG_ID=false"}, "did you mean CLEW_AUTO_LOG_IDS?"},
		{"a variable of OpenTelemetry", []string{"OTEL_TRACES_SAMPLER=some"}, `OTEL_TRACES_SAMPLER=\"some\": must be`},
		{"as a level asks", []string{"CLEW_AUTO=off", "OTEL_LOG_LEVEL=warn", "OTEL_TRACES_EXPORTER=none", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=console"}, `CLEW_AUTO=\"off\"`},
		{"silence is asked for", []string{"CLEW_AUTO=off", "OTEL_LOG_LEVEL=none"}, ""},
		{"a program without telemetry", []string{"CLEW_AUTO=false", "CLEW_AUTO_LOG_IDS=maybe"}, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			p := process.Start(t, path, []string{"exit"}, append(test.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+process.FreeAddrs(t, 1)[0]))
			code, printed := p.Wait(t, limit), p.Stderr()
			lines := strings.Count(printed, "\n")
			if code != 3 || !strings.Contains(printed, test.want) || (lines == 1) != (test.want != "") {
				t.Errorf("exit code %d, standard error %q, want 3 and a line with %q", code, printed, test.want)
			}
		})
	}
}
