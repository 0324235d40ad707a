package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// badVariable is a variable that takes none of the values of badValues.
type badVariable struct{ name, accepted, using string }

const (
	size     = "must be a whole number of bytes, at least %s"
	number   = "must be a whole number from %s to 2147483647"
	interval = "must be a whole number of milliseconds from 1 to 2147483647"
	duration = "must be a whole number of milliseconds from 0 to 2147483647"
	length   = "must be a whole number from 0 to 2147483647, or negative for no limit"
)

// takes reports whether the value is a good one after all: a length takes any number.
func (v badVariable) takes(value string) bool {
	_, err := strconv.Atoi(value)
	return err == nil && v.accepted == length
}

// badValues are wrong for every variable of badVariables that does not take them.
var badValues = []string{"bogus", "-1", "1.5", "NaN", "99999999999999999999", "0x10", "1s", "==", "\x7f%zz"}

func badVariables() []badVariable {
	all := []badVariable{
		{"OTEL_SDK_DISABLED", "must be true or false", "false"},
		{"OTEL_LOG_LEVEL", "must be none, error, warn, info or debug", "info"},
		{"OTEL_RESOURCE_ATTRIBUTES", "must be key=value,... percent-encoded UTF-8, which", "none"},
		{"OTEL_PROPAGATORS", "must be a list of b3, b3multi, baggage, clew, jaeger, ottrace, tracecontext, xray or none", "tracecontext,baggage"},
		{"OTEL_TRACES_SAMPLER", "must be adaptive, always_off, always_on, ", "parentbased_always_on"},
		{"OTEL_TRACES_EXPORTER", "must be a list of otlp, console", "otlp"},
		{"OTEL_METRICS_EXPORTER", "must be a list of otlp, console", "otlp"},
		{"OTEL_LOGS_EXPORTER", "must be a list of otlp, console", "otlp,console"},
		{"CLEW_LOG_EXPORT_LEVEL", "must be debug, info, warn or error, or ", "as printed"},
		{"OTEL_METRICS_EXEMPLAR_FILTER", "must be trace_based, always_on or always_off", "trace_based"},
		{"OTEL_METRIC_EXPORT_INTERVAL", interval, "60000"},
		{"OTEL_METRIC_EXPORT_TIMEOUT", duration, "30000"},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "must be cumulative, delta or lowmemory", "cumulative"},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "must be explicit_bucket_histogram or base2_exponential_bucket_histogram", "explicit_bucket_histogram"},
	}
	for _, batch := range []struct{ prefix, queue, size string }{{"OTEL_BSP", "no limit", "2048"}, {"OTEL_BLRP", "no limit", "2048"}} {
		all = append(all,
			badVariable{batch.prefix + "_SCHEDULE_DELAY", duration, "1000"},
			badVariable{batch.prefix + "_EXPORT_TIMEOUT", duration, "30000"},
			badVariable{batch.prefix + "_MAX_QUEUE_SIZE", "must be a whole number from 1 to 1048576", batch.queue},
			badVariable{batch.prefix + "_MAX_EXPORT_BATCH_SIZE", fmt.Sprintf(number, "1"), batch.size})
	}
	all = append(all,
		badVariable{"CLEW_DELIVERY_QUEUE_SIZE", fmt.Sprintf(size, "65536"), "67108864"},
		badVariable{"CLEW_DELIVERY_SPOOL_SIZE", fmt.Sprintf(size, "8388608"), "268435456"},
		badVariable{"CLEW_DELIVERY_SPOOL_SYNC", "must be true or false", "false"},
		badVariable{"CLEW_DELIVERY_JOURNAL", "must be true or false", "false"},
		badVariable{"CLEW_DELIVERY_REFUSED_TIMEOUT", duration, "1000"},
		badVariable{"CLEW_AUTO", "must be true or false", "true"},
		badVariable{"CLEW_AUTO_LOG_IDS", "must be true or false", "true"},
		badVariable{"CLEW_AUTO_EXIT_TIMEOUT", duration, "1000"},
		badVariable{"CLEW_AUTO_HEALTH_PATHS", "must be paths that begin with /, ", "/healthz,/livez,/readyz,/health,/health/live,/health/ready,/-/healthy,/-/ready"})
	for _, limited := range []string{"SPAN", "LOGRECORD"} {
		all = append(all,
			badVariable{"OTEL_" + limited + "_ATTRIBUTE_VALUE_LENGTH_LIMIT", length, "16384"},
			badVariable{"OTEL_" + limited + "_ATTRIBUTE_COUNT_LIMIT", fmt.Sprintf(number, "0"), "128"})
	}
	for _, limit := range []string{"SPAN_EVENT", "SPAN_LINK", "EVENT_ATTRIBUTE", "LINK_ATTRIBUTE"} {
		all = append(all, badVariable{"OTEL_" + limit + "_COUNT_LIMIT", fmt.Sprintf(number, "0"), "128"})
	}
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		all = append(all, badOTLP("OTEL_EXPORTER_OTLP_"+signal+"_")...)
	}
	return all
}

func badOTLP(prefix string) []badVariable {
	return []badVariable{
		{prefix + "PROTOCOL", "must be grpc, http/json or http/protobuf", "http/protobuf"},
		{prefix + "HEADERS", "must be key=value,... with HTTP header names and percent-encoded values", "the other headers: none"},
		{prefix + "TIMEOUT", duration, "10000"},
		{prefix + "COMPRESSION", "must be gzip or none", "none"},
		{prefix + "CERTIFICATE", "must be a PEM file: ", "the system's certificates"},
		{prefix + "CLIENT_CERTIFICATE", "must come with a key: " + prefix + "CLIENT_KEY is not set", "none"},
	}
}

// badGeneral are the variables that are read only where the ones of
// badVariables are not set.
func badGeneral() []badVariable {
	return append(badOTLP("OTEL_EXPORTER_OTLP_"),
		badVariable{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", length, "16384"},
		badVariable{"OTEL_ATTRIBUTE_COUNT_LIMIT", fmt.Sprintf(number, "0"), "128"})
}

// badEndpoints need a run without a collector.
func badEndpoints() []badVariable {
	const accepted, standard = "must be a URL such as http://localhost:4318", "http://localhost:4318"
	return []badVariable{
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", accepted, standard + "/v1/traces"},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", accepted, standard + "/v1/metrics"},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", accepted, standard + "/v1/logs"},
	}
}

// TestBadValues gives every variable a value that it cannot take, all in one
// process: each is named in a line of its own with what is accepted and what is
// used instead, the program runs, and its telemetry arrives.
func TestBadValues(t *testing.T) {
	for _, value := range badValues {
		for _, group := range []struct {
			name      string
			variables []badVariable
			arrives   string
		}{
			{"each variable", badVariables(), "traces, metrics, logs"},
			{"general", badGeneral(), "traces, metrics, logs"},
			{"endpoint", badEndpoints(), "nothing"},
		} {
			t.Run(fmt.Sprintf("%s %q", group.name, value), func(t *testing.T) {
				t.Parallel()
				checkBad(t, group.variables, value, group.arrives)
			})
		}
	}
	var table strings.Builder
	table.WriteString("| variable | accepted | in effect instead |\n|---|---|---|\n")
	for _, v := range append(append(badVariables(), badGeneral()...), badEndpoints()...) {
		fmt.Fprintf(&table, "| `%s` | %s… | %s |\n", v.name, v.accepted, v.using)
	}
	writeTable(t, "bad values", strings.ReplaceAll(table.String(), "  ", " "))
}

// TestBadSamplerArguments is about values that only one sampler reads.
func TestBadSamplerArguments(t *testing.T) {
	for _, value := range []string{"bogus", "-1", "1.5", "NaN", "Inf", "1e999", "-0.1", "50%"} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			checkBad(t, []badVariable{{"OTEL_TRACES_SAMPLER_ARG", "ratio must be between 0 and 1", "1"}}, value,
				"traces, metrics, logs", "OTEL_TRACES_SAMPLER=traceidratio")
		})
	}
}

// TestBadOptInValues is about variables that only some exporters read.
func TestBadOptInValues(t *testing.T) {
	checkBad(t, []badVariable{
		{"OTEL_EXPORTER_PROMETHEUS_PORT", "must be a whole number from 0 to 65535", "9464"},
	}, "70000000000", "traces, metrics, logs", "OTEL_METRICS_EXPORTER=otlp,prometheus")
}

var errorAttribute = regexp.MustCompile(`error=("(?:[^"\\]|\\.)*")`)

func checkBad(t *testing.T, variables []badVariable, value, arrives string, with ...string) {
	t.Helper()
	r := row{variable: "OTEL_SERVICE_NAME", value: "bad", with: with}
	variables = slices.DeleteFunc(variables, func(v badVariable) bool { return v.takes(value) })
	for _, v := range variables {
		r.with = append(r.with, v.name+"="+value)
	}
	out := r.run(t)
	if got := everything(out); got != arrives || out.code != 0 {
		t.Errorf("%s arrived, want %s; exit code %d", got, arrives, out.code)
	}
	var printed []string
	for _, match := range errorAttribute.FindAllStringSubmatch(out.stderr, -1) {
		text, err := strconv.Unquote(match[1])
		if err != nil {
			t.Error(err)
		}
		printed = append(printed, text)
	}
	for _, v := range variables {
		lines := 0
		for _, line := range printed {
			if strings.HasPrefix(line, v.name+"=") {
				lines++
				if !strings.Contains(line, v.accepted) || !strings.HasSuffix(line, "; using "+v.using) {
					t.Errorf("printed %s\nwant %q and %q", line, v.accepted, v.using)
				}
			}
		}
		if lines != 1 {
			t.Errorf("%s=%s was reported %d times, want once", v.name, value, lines)
		}
	}
}
