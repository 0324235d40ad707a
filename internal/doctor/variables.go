package doctor

import (
	"fmt"
	"slices"
	"strings"
)

// variables are all that otelsetup reads.
var variables = func() []string {
	names := []string{
		"OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_CONFIG_FILE", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
		"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
		"OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT", "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT",
		"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
		"OTEL_LOGS_EXPORTER", "OTEL_LOG_LEVEL", "OTEL_METRICS_EXEMPLAR_FILTER", "OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL",
		"OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_PROPAGATORS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME",
		"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
		"OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
	}
	for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
		for _, option := range []string{"CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION", "ENDPOINT", "HEADERS", "INSECURE", "PROTOCOL", "TIMEOUT"} {
			names = append(names, "OTEL_EXPORTER_OTLP_"+signal+option)
		}
	}
	for _, batch := range []string{"OTEL_BSP_", "OTEL_BLRP_"} {
		for _, option := range []string{"EXPORT_TIMEOUT", "MAX_EXPORT_BATCH_SIZE", "MAX_QUEUE_SIZE", "SCHEDULE_DELAY"} {
			names = append(names, batch+option)
		}
	}
	return names
}()

// likeness is how many letters may differ for one name to be taken for another.
const likeness = 3

// misspelt looks for variables that look like one of OpenTelemetry's and are
// read by nobody.
func misspelt(r *Result, environ []string) {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		upper := strings.ToUpper(name)
		if value == "" || !strings.HasPrefix(upper, "OTEL_") || slices.Contains(variables, name) {
			continue
		}
		if like := nearest(upper); like != "" {
			r.problem(name+" is not a variable that is read", "use "+like+", if that is what it should be; otherwise unset it")
		} else {
			r.note(name + " is not a variable that otelsetup reads")
		}
	}
}

// nearest returns the variable that a name was meant to be, "" if there is no
// one like it.
func nearest(name string) string {
	best, least := "", likeness+1
	for _, v := range variables {
		if d := distance(name, v); d < least {
			best, least = v, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

// masked hides what a receiver repeats of the headers it was sent, and what
// would change a terminal.
func (s send) masked(text string) string {
	for name, value := range s.Headers {
		if len(value) >= len("1234") {
			text = strings.ReplaceAll(text, value, "***")
		}
		if _, credential, ok := strings.Cut(value, " "); ok && strings.EqualFold(name, "Authorization") && len(credential) >= len("1234") {
			text = strings.ReplaceAll(text, credential, "***")
		}
	}
	const most = 200
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return strings.Trim(fmt.Sprintf("%q", text), `"`)
}
