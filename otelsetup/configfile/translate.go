package configfile

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"github.com/clewtrace/clew/otelsetup"
)

// translation tells what a file says in terms of variables.
type translation struct {
	*document
	errs []error
}

// table says which variable a key stands for.
type table []struct{ key, variable string }

func (t *translation) configFile() *otelsetup.ConfigFile {
	t.use("file_format")
	t.use("distribution")   // of others
	t.use("meter_provider") // otelconf's
	c := &otelsetup.ConfigFile{Attributes: t.attributes()}
	c.Values = append(t.general(), t.propagators()...)
	for _, processor := range t.entries("tracer_provider.processors") {
		c.Spans = append(c.Spans, t.processor(processor, "TRACES", "OTEL_BSP"))
	}
	for _, processor := range t.entries("logger_provider.processors") {
		c.Logs = append(c.Logs, t.processor(processor, "LOGS", "OTEL_BLRP"))
	}
	switch {
	case t.has("tracer_provider.sampler"):
		c.Sampler = t.sampler("tracer_provider.sampler")
	case !t.has("tracer_provider"):
		c.Values = append(c.Values, otelsetup.FileValue{Variable: samplerVariable, Key: "tracer_provider", Value: "parentbased_always_off"})
	}
	for _, path := range t.unused() {
		t.errs = append(t.errs, fmt.Errorf("OTEL_CONFIG_FILE: %s: not supported, and ignored", path))
	}
	return c
}

// general is what stands at the top, and the limits.
func (t *translation) general() []otelsetup.FileValue {
	values := t.values("", table{
		{"disabled", "OTEL_SDK_DISABLED"},
		{"resource.attributes_list", "OTEL_RESOURCE_ATTRIBUTES"},
		{"attribute_limits.attribute_value_length_limit", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"},
		{"attribute_limits.attribute_count_limit", "OTEL_ATTRIBUTE_COUNT_LIMIT"},
		{"tracer_provider.limits.attribute_value_length_limit", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"},
		{"tracer_provider.limits.attribute_count_limit", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"},
		{"tracer_provider.limits.event_count_limit", "OTEL_SPAN_EVENT_COUNT_LIMIT"},
		{"tracer_provider.limits.link_count_limit", "OTEL_SPAN_LINK_COUNT_LIMIT"},
		{"tracer_provider.limits.event_attribute_count_limit", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"},
		{"tracer_provider.limits.link_attribute_count_limit", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"},
		{"logger_provider.limits.attribute_value_length_limit", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"},
		{"logger_provider.limits.attribute_count_limit", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT"},
	})
	if level := t.text("log_level"); level != "" {
		// The file has the severities of log records, four of each.
		level = strings.TrimRight(level, "234")
		level = strings.NewReplacer("trace", "debug", "fatal", "error").Replace(level)
		values = append(values, otelsetup.FileValue{Variable: "OTEL_LOG_LEVEL", Key: "log_level", Value: level})
	}
	return values
}

// values looks keys up below base.
func (t *translation) values(base string, keys table) []otelsetup.FileValue {
	var values []otelsetup.FileValue
	for _, k := range keys {
		path := strings.TrimPrefix(base+"."+k.key, ".")
		if v := t.text(path); v != "" {
			values = append(values, otelsetup.FileValue{Variable: k.variable, Key: path, Value: v})
		}
	}
	return values
}

// propagators are none if the file names none.
func (t *translation) propagators() []otelsetup.FileValue {
	const key = "propagator"
	var names []string
	for _, entry := range t.entries(key + ".composite") {
		names = append(names, t.keys(entry)...)
		t.use(entry)
	}
	if list := t.text(key + ".composite_list"); list != "" {
		names = append(names, list)
	}
	if names == nil {
		names = []string{"none"}
	}
	return []otelsetup.FileValue{{Variable: "OTEL_PROPAGATORS", Key: key, Value: strings.Join(names, ",")}}
}

// processor is a batch of any size or, for a simple processor, of one.
func (t *translation) processor(path, signal, batch string) []otelsetup.FileValue {
	var values []otelsetup.FileValue
	switch {
	case t.has(path + ".batch"):
		path += ".batch"
		values = t.values(path, table{
			{"schedule_delay", batch + "_SCHEDULE_DELAY"},
			{"export_timeout", batch + "_EXPORT_TIMEOUT"},
			{"max_queue_size", batch + "_MAX_QUEUE_SIZE"},
			{"max_export_batch_size", batch + "_MAX_EXPORT_BATCH_SIZE"},
		})
		for i := range values {
			switch values[i].Variable {
			case batch + "_SCHEDULE_DELAY":
				zeroMeans(&values[i], 1)
			case batch + "_EXPORT_TIMEOUT":
				zeroMeans(&values[i], math.MaxInt32)
			}
		}
	case t.has(path + ".simple"):
		path += ".simple"
		values = []otelsetup.FileValue{{Variable: batch + "_MAX_EXPORT_BATCH_SIZE", Key: path, Value: "1"}}
	}
	return append(values, t.exporter(path+".exporter", signal)...)
}

// zeroMeans replaces a 0, which the file allows and the variable does not.
func zeroMeans(v *otelsetup.FileValue, n int) {
	if v.Value == "0" {
		v.Value = strconv.Itoa(n)
	}
}

func (t *translation) exporter(path, signal string) []otelsetup.FileValue {
	choose := func(name string) otelsetup.FileValue {
		return otelsetup.FileValue{Variable: "OTEL_" + signal + "_EXPORTER", Key: path, Value: name}
	}
	names := t.keys(path)
	if len(names) != 1 {
		t.errs = append(t.errs, fmt.Errorf("OTEL_CONFIG_FILE: %s: must be one exporter, not %d", path, len(names)))
		return []otelsetup.FileValue{choose("none")}
	}
	name := names[0]
	prefix, protocol := "OTEL_EXPORTER_OTLP_"+signal+"_", "http/protobuf"
	switch name {
	default:
		t.use(path + "." + name)
		return []otelsetup.FileValue{choose(name)}
	case "otlp_grpc":
		protocol = "grpc"
	case "otlp_http":
	}
	path += "." + name
	if encoding := t.text(path + ".encoding"); encoding == "json" {
		protocol = "http/json"
	}
	values := t.values(path, table{
		{"endpoint", prefix + "ENDPOINT"},
		{"timeout", prefix + "TIMEOUT"},
		{"compression", prefix + "COMPRESSION"},
		{"tls.ca_file", prefix + "CERTIFICATE"},
		{"tls.key_file", prefix + "CLIENT_KEY"},
		{"tls.cert_file", prefix + "CLIENT_CERTIFICATE"},
		{"tls.insecure", prefix + "INSECURE"},
	})
	for i := range values {
		if values[i].Variable == prefix+"TIMEOUT" {
			zeroMeans(&values[i], math.MaxInt32)
		}
	}
	return append(values, choose("otlp"),
		otelsetup.FileValue{Variable: prefix + "PROTOCOL", Key: path, Value: protocol},
		otelsetup.FileValue{Variable: prefix + "HEADERS", Key: path + ".headers", Value: t.headers(path)})
}

// headers lists the headers of an exporter; the later one of a name counts.
func (t *translation) headers(path string) string {
	var pairs []string
	if list := t.text(path + ".headers_list"); list != "" {
		pairs = append(pairs, list)
	}
	for _, entry := range t.entries(path + ".headers") {
		name := t.text(entry + ".name")
		if value := t.value(entry + ".value"); value != nil {
			pairs = append(pairs, name+"="+url.PathEscape(fmt.Sprint(value)))
		}
	}
	return strings.Join(pairs, ",")
}
