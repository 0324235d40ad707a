package settings

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/redact"
)

const configFileVariable = "OTEL_CONFIG_FILE"

// A FileParser turns a file of the OpenTelemetry declarative configuration
// into maps, lists and scalars. lookup knows the variables that the file
// refers to.
type FileParser func(path string, lookup func(name string) (string, bool)) (map[string]any, error)

// fileReader reads the file at path. It is nil without a parser, so that programs that
// read no file do not link what understands one.
var fileReader atomic.Pointer[func(r *reader, path string) (Settings, error)]

// RegisterFileParser makes OTEL_CONFIG_FILE usable.
func RegisterFileParser(parse FileParser) {
	read := func(r *reader, path string) (Settings, error) {
		root, err := parse(path, r.lookup)
		if err != nil {
			return Settings{}, err
		}
		r.record(configFileVariable, plain.show(path), configFileVariable)
		s := Settings{ConfigFile: path, lookup: r.lookup}
		f := &file{reader: r, document: newDocument(root), settings: &s}
		f.read(&s)
		for _, key := range f.unused() {
			f.reject(key, "not supported, and ignored")
		}
		return s, nil
	}
	fileReader.Store(&read)
}

// readFile reads the file at path in place of the variables: OpenTelemetry
// Environment Variable Specification, "Declarative configuration". What the
// file does not mention has the default of the file's format. A part that is
// not understood is a problem, and the rest counts. It is not ok if the file
// cannot be used at all.
func (r *reader) readFile(path string) (s Settings, ok bool) {
	const instead = "the other variables"
	read := fileReader.Load()
	if read == nil {
		r.problem(configFileVariable, path, "a configuration file needs the import of "+ConfigFileImport, instead)
		return s, false
	}
	s, err := (*read)(r, path)
	if err != nil {
		r.problem(configFileVariable, path, redact.Text(err.Error()), instead)
		return s, false
	}
	s.Effective = r.effective
	return s, true
}

// file reads a document.
type file struct {
	*reader
	*document
	settings *Settings // what is read
}

// reject notes a part of the file that cannot be used.
func (f *file) reject(path, reason string) {
	p := Problem{Name: configFileVariable, Reason: path + ": " + reason}
	if !slices.Contains(f.problems, p) {
		f.problems = append(f.problems, p)
	}
}

// at reads the value at path, which says the same as a variable.
func at[T any](f *file, k kind[T], variable, path string, def T) T {
	return resolve(&f.report, k, variable, path, f.text(path), def)
}

func (f *file) read(s *Settings) {
	f.use("distribution") // of others
	// Without quotes, YAML reads 1.0 as a number.
	if format := f.text("file_format"); format != "1" && !strings.HasPrefix(format, "1.") {
		f.reject("file_format", fmt.Sprintf("%q is not known, 1.0 is; read as that", format))
	}
	for _, key := range []string{"resource", "tracer_provider", "meter_provider", "logger_provider"} {
		f.value(key) // an empty one is understood
	}
	level := oneOf(variable("OTEL_LOG_LEVEL").Accepted)
	parse := level.parse
	level.parse = func(text string) (string, error) { return parse(severity(text)) }
	s.LogLevel = logLevels[at(f, level, "OTEL_LOG_LEVEL", "log_level", "info")]
	s.Propagators = f.propagators()
	if s.Disabled = at(f, boolean, "OTEL_SDK_DISABLED", "disabled", false); s.Disabled {
		for _, key := range []string{"resource", "attribute_limits", "tracer_provider", "meter_provider", "logger_provider"} {
			f.use(key)
		}
		return
	}
	f.resource(s)
	s.Sampler = f.sampler()
	s.SpanLimits, s.LogLimits = f.limits()
	f.exports(s)
}

// severity turns the severities of log records, four of each, into the values
// of OTEL_LOG_LEVEL.
func severity(text string) string {
	level := strings.TrimRight(strings.ToLower(text), "234")
	return strings.NewReplacer("trace", "debug", "fatal", "error").Replace(level)
}

// propagators are none if the file names none.
func (f *file) propagators() []string {
	const key = "propagator"
	var names []string
	for _, entry := range f.entries(key + ".composite") {
		names = append(names, f.keys(entry)...)
		f.use(entry)
	}
	if list := f.text(key + ".composite_list"); list != "" {
		names = append(names, list)
	}
	if names == nil {
		names = []string{None}
	}
	return list(&f.report, "OTEL_PROPAGATORS", key, strings.Join(names, ","), []string{None})
}

// resource reads the attributes. The detectors of the file add nothing that is
// not found out anyway, but for "service", which reads OTEL_SERVICE_NAME.
func (f *file) resource(s *Settings) {
	s.Attributes = at(f, attributes, "OTEL_RESOURCE_ATTRIBUTES", "resource.attributes_list", nil)
	f.text("resource.schema_url")
	const detectors = "resource.detection/development.detectors"
	found := f.texts(detectors)
	for _, entry := range f.entries(detectors) {
		found = append(found, f.keys(entry)...)
		if name := f.text(entry); name != "" {
			found = append(found, name)
		}
	}
	if slices.Contains(found, "service") {
		s.setServiceName(read(f.reader, plain, "", "OTEL_SERVICE_NAME"))
	}
	f.use(detectors)
	s.Attributes = append(s.Attributes, f.attributes()...)
	s.setServiceName("")
}

func (f *file) limits() (sdktrace.SpanLimits, LogLimits) {
	count := at(f, limit, attributeCountLimit, "attribute_limits.attribute_count_limit", 128)
	most := at(f, length, attributeLengthLimit, "attribute_limits.attribute_value_length_limit", defaultLength)
	const spans, logs = "tracer_provider.limits.", "logger_provider.limits."
	return sdktrace.SpanLimits{
			AttributeValueLengthLimit:   at(f, length, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", spans+"attribute_value_length_limit", most),
			AttributeCountLimit:         at(f, limit, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", spans+"attribute_count_limit", count),
			EventCountLimit:             at(f, limit, "OTEL_SPAN_EVENT_COUNT_LIMIT", spans+"event_count_limit", 128),
			LinkCountLimit:              at(f, limit, "OTEL_SPAN_LINK_COUNT_LIMIT", spans+"link_count_limit", 128),
			AttributePerEventCountLimit: at(f, limit, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", spans+"event_attribute_count_limit", 128),
			AttributePerLinkCountLimit:  at(f, limit, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", spans+"link_attribute_count_limit", 128),
		}, LogLimits{
			AttributeCount:       at(f, limit, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", logs+"attribute_count_limit", count),
			AttributeValueLength: at(f, length, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", logs+"attribute_value_length_limit", most),
		}
}
