package settings

import (
	"slices"
	"strings"
	"sync"
)

// Kind says what a variable takes.
type Kind string

// The kinds of variables. OpenTelemetry Environment Variable Specification,
// "Configuration types".
const (
	Boolean      Kind = "true or false"
	Enumeration  Kind = "one of"
	List         Kind = "list of"
	Milliseconds Kind = "milliseconds"
	Number       Kind = "number"
	Limit        Kind = "limit"
	Bytes        Kind = "bytes"
	URL          Kind = "URL"
	File         Kind = "path"
	Pairs        Kind = "key=value,..."
	Paths        Kind = "/path,..."
	Text         Kind = "text"
	Level        Kind = "level"
)

// Variable is an entry of the table of all variables.
type Variable struct {
	Name     string
	Kind     Kind
	Default  string   // as it would be written; "" if there is none
	Accepted []string // the built-in values of an enumeration or a list
	Sentence string   // what it sets
}

// Variables returns the table of all that is read, in the order of the
// documents.
func Variables() []Variable { return slices.Clone(table) }

// variable returns the entry of a name. Names are constants, so that there is
// always one.
func variable(name string) Variable {
	i := slices.IndexFunc(table, func(v Variable) bool { return v.Name == name })
	return table[i]
}

var table = slices.Concat(general, exporters, otlp(), batches(), limits(), metrics, deliveries, autos)

var general = []Variable{
	{Name: "OTEL_CONFIG_FILE", Kind: File, Sentence: "A configuration file that is read in place of every other OTEL_* variable."},
	{Name: "OTEL_SDK_DISABLED", Kind: Boolean, Default: "false", Sentence: "Records nothing. The trace context is still passed on."},
	{Name: "OTEL_LOG_LEVEL", Kind: Enumeration, Default: "info", Accepted: []string{None, "error", "warn", "info", "debug"}, Sentence: "What is printed of telemetry's own troubles."},
	{Name: "OTEL_SERVICE_NAME", Kind: Text, Default: "unknown_service:<executable>", Sentence: "The name of the service. It wins over OTEL_RESOURCE_ATTRIBUTES."},
	{Name: "OTEL_RESOURCE_ATTRIBUTES", Kind: Pairs, Sentence: "Attributes of the resource, percent-encoded."},
	{Name: "OTEL_PROPAGATORS", Kind: List, Default: "tracecontext,baggage", Accepted: []string{"b3", "b3multi", "baggage", "clew", "jaeger", "ottrace", "tracecontext", "xray"}, Sentence: "How the context travels in headers, or none."},
	{Name: "OTEL_TRACES_SAMPLER", Kind: Enumeration, Default: SamplerStandard, Accepted: []string{"adaptive", "always_off", "always_on", "probability", "traceidratio"}, Sentence: "Which traces are kept; with the prefix parentbased_, which of those that begin here."},
	{Name: "OTEL_TRACES_SAMPLER_ARG", Kind: Text, Sentence: "The sampler's argument: a ratio from 0 to 1 for traceidratio and probability, traces per second or a list of traces_per_second=, max_operations=, replicas=, min_probability=, max_probability= for adaptive, a file for rules."},
}

var exporters = []Variable{
	{Name: "OTEL_TRACES_EXPORTER", Kind: List, Default: "otlp", Accepted: []string{ExporterOTLP, ExporterConsole}, Sentence: "Where spans go, or none."},
	{Name: "OTEL_METRICS_EXPORTER", Kind: List, Default: "otlp", Accepted: []string{ExporterOTLP, ExporterConsole}, Sentence: "Where metrics go, or none."},
	{Name: "OTEL_LOGS_EXPORTER", Kind: List, Default: "otlp,console", Accepted: []string{ExporterOTLP, ExporterConsole}, Sentence: "Where log records go. Without otlp they are only printed, without console only exported."},
	{Name: "CLEW_LOG_EXPORT_LEVEL", Kind: Level, Default: asPrinted, Sentence: "The least level of the log records that are exported: debug, info, warn or error, or with a number added, such as info+2."},
	{Name: "OTEL_EXPORTER_PROMETHEUS_HOST", Kind: Text, Default: "localhost", Sentence: "The host on which metrics are served."},
	{Name: "OTEL_EXPORTER_PROMETHEUS_PORT", Kind: Number, Default: "9464", Sentence: "The port on which metrics are served; 0 takes a free one."},
	{Name: "OTEL_EXPORTER_ZIPKIN_ENDPOINT", Kind: URL, Default: "http://localhost:9411/api/v2/spans", Sentence: "Where spans are posted."},
	{Name: "OTEL_EXPORTER_ZIPKIN_TIMEOUT", Kind: Milliseconds, Default: "10000", Sentence: "The most time for one request; 0 is no limit, as for every timeout."},
}

const otlpPrefix = "OTEL_EXPORTER_OTLP_"

// otlp has each option once for all signals and once for each of them.
func otlp() []Variable {
	var all []Variable
	for _, option := range []Variable{
		{Name: "ENDPOINT", Kind: URL, Default: "http://localhost:4318", Sentence: "Where requests are sent; the general one gets /v1/traces, /v1/metrics or /v1/logs. For grpc the default is http://localhost:4317, and a target as gRPC spells it is accepted too."},
		{Name: "PROTOCOL", Kind: Enumeration, Default: ProtocolProtobuf, Accepted: []string{ProtocolJSON, ProtocolProtobuf}, Sentence: "How requests are encoded and sent."},
		{Name: "HEADERS", Kind: Pairs, Sentence: "Headers of each request, values percent-encoded."},
		{Name: "TIMEOUT", Kind: Milliseconds, Default: "10000", Sentence: "The most time for one request; 0 is no limit."},
		{Name: "COMPRESSION", Kind: Enumeration, Default: None, Accepted: []string{"gzip", None}, Sentence: "How requests are compressed."},
		{Name: "INSECURE", Kind: Boolean, Default: "false", Sentence: "For grpc and an endpoint that is not http:// or https://: no TLS. A unix socket has none unless this is false."},
		{Name: "CERTIFICATE", Kind: File, Default: systemRoots, Sentence: "A PEM file with the certificates to trust."},
		{Name: "CLIENT_CERTIFICATE", Kind: File, Sentence: "A PEM file with the certificate to show. It needs an import."},
		{Name: "CLIENT_KEY", Kind: File, Sentence: "A PEM file with its private key."},
	} {
		for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
			v := option
			v.Name = otlpPrefix + signal + option.Name
			all = append(all, v)
		}
	}
	return all
}

func batches() []Variable {
	var all []Variable
	for _, b := range []struct{ prefix, items, queue, size string }{
		{"OTEL_BSP", "spans", noLimit, "2048"}, {"OTEL_BLRP", "log records", noLimit, "2048"},
	} {
		all = append(all,
			Variable{Name: b.prefix + "_SCHEDULE_DELAY", Kind: Milliseconds, Default: "1000", Sentence: "The most time that " + b.items + " wait for their batch to fill; 0 sends them at once."},
			Variable{Name: b.prefix + "_EXPORT_TIMEOUT", Kind: Milliseconds, Default: "30000", Sentence: "The most time for the export of a batch; 0 is no limit."},
			Variable{Name: b.prefix + "_MAX_QUEUE_SIZE", Kind: Number, Default: b.queue, Sentence: "The most " + b.items + " that wait; the bytes of all that waits are bounded by CLEW_DELIVERY_QUEUE_SIZE."},
			Variable{Name: b.prefix + "_MAX_EXPORT_BATCH_SIZE", Kind: Number, Default: b.size, Sentence: "The most " + b.items + " in a batch."})
	}
	return all
}

func limits() []Variable {
	return []Variable{
		{Name: attributeCountLimit, Kind: Limit, Default: "128", Sentence: "The most attributes of a span or log record."},
		{Name: attributeLengthLimit, Kind: Limit, Default: "16384", Sentence: "The most characters of an attribute's value; a negative number is no limit."},
		{Name: "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The same for spans alone."},
		{Name: "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", Kind: Limit, Default: "16384", Sentence: "The same for spans alone."},
		{Name: "OTEL_SPAN_EVENT_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The most events of a span."},
		{Name: "OTEL_SPAN_LINK_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The most links of a span."},
		{Name: "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The most attributes of an event."},
		{Name: "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The most attributes of a link."},
		{Name: "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", Kind: Limit, Default: "128", Sentence: "The same for log records alone."},
		{Name: "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", Kind: Limit, Default: "16384", Sentence: "The same for log records alone."},
	}
}

var metrics = []Variable{
	{Name: "OTEL_METRIC_EXPORT_INTERVAL", Kind: Milliseconds, Default: "60000", Sentence: "The time between two exports of metrics."},
	{Name: "OTEL_METRIC_EXPORT_TIMEOUT", Kind: Milliseconds, Default: "30000", Sentence: "The most time for an export of metrics; 0 is no limit."},
	{Name: "OTEL_METRICS_EXEMPLAR_FILTER", Kind: Enumeration, Default: "trace_based", Accepted: []string{"trace_based", "always_on", "always_off"}, Sentence: "Which measurements become exemplars."},
	{Name: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", Kind: Enumeration, Default: "cumulative", Accepted: []string{"cumulative", "delta", "lowmemory"}, Sentence: "Whether counters are sent as sums or as differences."},
	{Name: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", Kind: Enumeration, Default: "explicit_bucket_histogram", Accepted: []string{"explicit_bucket_histogram", "base2_exponential_bucket_histogram"}, Sentence: "The buckets of histograms."},
}

var deliveries = []Variable{
	{Name: "CLEW_DELIVERY_QUEUE_SIZE", Kind: Bytes, Default: "67108864", Sentence: "The most bytes of requests in memory."},
	{Name: "CLEW_DELIVERY_SPOOL_DIR", Kind: File, Default: None, Sentence: "A directory that keeps what is not delivered for the next start."},
	{Name: "CLEW_DELIVERY_SPOOL_SIZE", Kind: Bytes, Default: "268435456", Sentence: "The most bytes of its files; four times the queue if that is set."},
	{Name: "CLEW_DELIVERY_SPOOL_SYNC", Kind: Boolean, Default: "false", Sentence: "Waits until each request is on stable storage."},
	{Name: "CLEW_DELIVERY_JOURNAL", Kind: Boolean, Default: "false", Sentence: "Spans and log records reach the directory as they end."},
	{Name: "CLEW_DELIVERY_REFUSED_TIMEOUT", Kind: Milliseconds, Default: "1000", Sentence: "How long the end of the program waits for a collector where nothing listens; 0 as long as for any other."},
}

var autos = []Variable{
	{Name: autoOn, Kind: Boolean, Default: "true", Sentence: "Of a program that clew go has built, as the next three: false makes it the one that plain go would have built."},
	{Name: autoLogIDs, Kind: Boolean, Default: "true", Sentence: "Lines of log and log/slog get the ids of the trace and the span."},
	{Name: autoExitTimeout, Kind: Milliseconds, Default: "1000", Sentence: "The most time that the end of the program waits for the collector; 0 is no limit."},
	{Name: autoHealthPaths, Kind: Paths, Default: defaultHealth, Sentence: "Paths of requests that are not traced, or none."},
}

// optIn are values that a program gets by an import, and the package to
// import, by variable.
var optIn = map[string]map[string]string{
	"OTEL_TRACES_SAMPLER": {
		"rules":         "github.com/clewtrace/clew/otelsetup/rulesfile",
		"jaeger_remote": "github.com/clewtrace/clew/contrib/jaegerremote",
	},
	"OTEL_TRACES_EXPORTER":  {"zipkin": "github.com/clewtrace/clew/contrib/zipkin"},
	"OTEL_METRICS_EXPORTER": {"prometheus": "github.com/clewtrace/clew/otelsetup/prometheus"},
	otlpPrefix + "PROTOCOL": {ProtocolGRPC: "github.com/clewtrace/clew/otelsetup/otlpgrpc"},
}

// ConfigFileImport is what a program must import for OTEL_CONFIG_FILE, and
// ClientCertImport for a client certificate.
const (
	ConfigFileImport = "github.com/clewtrace/clew/otelsetup/configfile"
	ClientCertImport = "github.com/clewtrace/clew/otelsetup/clientcert"
)

// Import returns the package that makes name a value of a variable, and ""
// if there is none in this project. For a sampler, name may have the prefix
// parentbased_.
func Import(variable, name string) string {
	return optIn[variable][strings.TrimPrefix(name, ParentPrefix)]
}

// accepted are the values that others have added, by variable.
var accepted struct {
	sync.RWMutex
	names map[string][]string
}

// Accept makes name, in lower case, a value of a variable.
func Accept(variable, name string) {
	accepted.Lock()
	defer accepted.Unlock()
	if accepted.names == nil {
		accepted.names = map[string][]string{}
	}
	if !slices.Contains(accepted.names[variable], name) {
		accepted.names[variable] = append(accepted.names[variable], name)
	}
}

// AcceptImports makes every name of this project a value, as if all its
// packages were imported. It is for programs that only look.
func AcceptImports() {
	for variable, names := range optIn {
		for name := range names {
			Accept(variable, name)
		}
	}
}

// names returns what a variable accepts: what is built in, then what others
// have added. A list that is sorted stays so.
func names(of string) []string {
	builtIn := variable(of).Accepted
	accepted.RLock()
	defer accepted.RUnlock()
	added := slices.DeleteFunc(slices.Clone(accepted.names[of]), func(name string) bool { return slices.Contains(builtIn, name) })
	slices.Sort(added)
	all := slices.Concat(builtIn, added)
	if slices.IsSorted(builtIn) {
		slices.Sort(all)
	}
	return all
}
