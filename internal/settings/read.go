package settings

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/clewtrace/clew/delivery"
)

// Read reads the variables that lookup knows, [os.LookupEnv] for example, by the rules
// of the OpenTelemetry Environment Variable Specification: an empty value is an unset
// one, spaces around a value do not count, and a value that cannot be used is a
// [Problem] and replaced by the default. Of a general variable and the variable of a
// signal, the latter counts.
//
// With OTEL_CONFIG_FILE the settings come from that file, and the problems name
// its keys.
func Read(lookup func(name string) (string, bool)) (Settings, []Problem) {
	r := &reader{lookup: lookup}
	if _, file := r.find("OTEL_CONFIG_FILE"); file != "" {
		if s, ok := r.readFile(file); ok {
			return s, r.problems
		}
	}
	return r.readVariables(), r.problems
}

// reader reads variables.
type reader struct {
	report
	lookup func(name string) (string, bool)
}

// find returns the first variable that is set, and its text. Both are empty if
// none is.
func (r *reader) find(names ...string) (name, text string) {
	for _, name := range names {
		if text, _ := r.lookup(name); strings.TrimSpace(text) != "" {
			return name, strings.TrimSpace(text)
		}
	}
	return "", ""
}

// read reads the first of names that is set. The setting has the name of the
// first.
func read[T any](r *reader, k kind[T], def T, names ...string) T {
	source, text := r.find(names...)
	return resolve(&r.report, k, names[0], source, text, def)
}

// enum reads an enumeration of the table.
func (r *reader) enum(name string) string {
	v := variable(name)
	return read(r, oneOf(v.Accepted), v.Default, name)
}

// list reads a list of the table.
func (r *reader) list(name string) []string {
	source, text := r.find(name)
	return list(&r.report, name, source, text, strings.Split(variable(name).Default, ","))
}

func (r *reader) readVariables() Settings {
	s := Settings{lookup: r.lookup}
	s.LogLevel = logLevels[r.enum("OTEL_LOG_LEVEL")]
	s.Propagators = r.list("OTEL_PROPAGATORS")
	s.Disabled = read(r, boolean, false, "OTEL_SDK_DISABLED")
	if !s.Disabled {
		r.readSDK(&s)
	}
	s.Effective = r.effective
	return s
}

func (r *reader) readSDK(s *Settings) {
	s.Attributes = read(r, attributes, nil, "OTEL_RESOURCE_ATTRIBUTES")
	s.setServiceName(read(r, plain, "", "OTEL_SERVICE_NAME"))
	traces, metrics, logs := r.list("OTEL_TRACES_EXPORTER"), r.list("OTEL_METRICS_EXPORTER"), r.list("OTEL_LOGS_EXPORTER")
	send := map[string]*OTLP{}
	for signal, exporters := range map[string][]string{SignalTraces: traces, SignalMetrics: metrics, SignalLogs: logs} {
		if slices.Contains(exporters, ExporterOTLP) {
			send[signal] = nil
		}
	}
	for _, signal := range []string{SignalMetrics, SignalTraces, SignalLogs} {
		if _, sent := send[signal]; sent {
			send[signal] = r.otlp(signal)
		}
	}
	if len(send) > 0 {
		r.delivery(s)
	}
	r.metrics(s, metrics, send[SignalMetrics])
	r.sampler(s)
	s.SpanLimits = r.spanLimits()
	s.Spans = exports(traces, send[SignalTraces], r.batch("OTEL_BSP", batchOf(send[SignalTraces], spanBatch, s.Delivery)))
	s.LogLimits = LogLimits{
		AttributeCount:       read(r, limit, 128, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", attributeCountLimit),
		AttributeValueLength: read(r, length, defaultLength, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", attributeLengthLimit),
	}
	s.PrintLogs = slices.Contains(logs, ExporterConsole)
	logs = slices.DeleteFunc(logs, func(name string) bool { return name == ExporterConsole })
	s.Logs = exports(logs, send[SignalLogs], r.batch("OTEL_BLRP", batchOf(send[SignalLogs], logBatch, s.Delivery)))
	// A program that neither prints nor exports its log would be mute.
	s.PrintLogs = s.PrintLogs || len(s.Logs) == 0
	r.logExportLevel(s)
	r.plugged(s)
	r.auto()
}

// logExportLevel reads which log records are exported, if any are.
func (r *reader) logExportLevel(s *Settings) {
	if len(s.Logs) > 0 {
		s.LogExportLevel = read(r, level, nil, "CLEW_LOG_EXPORT_LEVEL")
	}
}

// setServiceName lets name win over an attribute. An empty one is none: a
// service always has a name (Resource SDK, "SDK-provided resource attributes").
func (s *Settings) setServiceName(name string) {
	s.Attributes = slices.DeleteFunc(s.Attributes, func(a attribute.KeyValue) bool {
		return a.Key == semconv.ServiceNameKey && a.Value.AsString() == ""
	})
	if name != "" {
		s.Attributes = append(s.Attributes, semconv.ServiceName(name))
	}
	for _, a := range s.Attributes {
		if a.Key == semconv.ServiceNameKey {
			s.ServiceName = a.Value.AsString()
		}
	}
}

// exports makes an entry for each exporter.
func exports(names []string, otlp *OTLP, batch Batch) []Export {
	var all []Export
	for _, name := range names {
		e := Export{Exporter: name, Batch: batch}
		if name == ExporterOTLP {
			e.OTLP = otlp
			otlp.limitTimeout(batch.ExportTimeout)
		}
		all = append(all, e)
	}
	return all
}

// limitTimeout lets a request take no longer than an export may: such an export is
// handed over at once, so that its own limit would bound nothing.
func (c *OTLP) limitTimeout(export time.Duration) {
	if c != nil && export >= 0 && (c.Timeout < 0 || export < c.Timeout) {
		c.Timeout = export
	}
}

// The batches of what is delivered by store and forward, whose queue is bounded by
// its bytes, and those of the specification for all other exporters:
// OpenTelemetry Environment Variable Specification, "Batch Span Processor" and
// "Batch LogRecord Processor".
var (
	deliveredBatch = Batch{Size: delivery.DefaultMaxItems, Delay: delivery.DefaultDelay, ExportTimeout: 30 * time.Second}
	spanBatch      = Batch{QueueSize: 2048, Size: 512, Delay: 5 * time.Second, ExportTimeout: 30 * time.Second}
	logBatch       = Batch{QueueSize: 2048, Size: 512, Delay: time.Second, ExportTimeout: 30 * time.Second}
)

// batchOf returns the defaults of a signal that is sent by otlp, or else in
// other ways. With a spool a batch is small, because one batch is what the sudden
// end of the process can lose.
func batchOf(otlp *OTLP, other Batch, d Delivery) Batch {
	if otlp == nil {
		return other
	}
	b := deliveredBatch
	if d.SpoolDir != "" {
		b.Size = other.Size
	}
	return b
}

func (r *reader) batch(prefix string, def Batch) Batch {
	b := Batch{QueueSize: read(r, queueSize, def.QueueSize, prefix+"_MAX_QUEUE_SIZE")}
	b.Size = read(r, within(b.QueueSize, prefix+"_MAX_QUEUE_SIZE"), fitting(def.Size, b.QueueSize), prefix+"_MAX_EXPORT_BATCH_SIZE")
	b.Delay = read(r, delay, def.Delay, prefix+"_SCHEDULE_DELAY")
	b.ExportTimeout = read(r, timeout, def.ExportTimeout, prefix+"_EXPORT_TIMEOUT")
	return b
}

// fitting returns the size of a batch for a queue of items: at most a quarter of
// it, as in the specification, so that the queue holds what comes while a batch is
// sent.
func fitting(size, queue int) int {
	if queue == 0 {
		return size
	}
	return min(size, max(queue/4, 1))
}

// defaultLength is the most characters of an attribute's value. The specification
// has no limit there. Without one, a few requests with a long URL fill the queue,
// and what others sent is lost for them.
const defaultLength = 16384

// The limits of attributes hold for spans and log records, unless the signal's
// own are set: OpenTelemetry Environment Variable Specification, "Attribute
// Limits".
const (
	attributeCountLimit  = "OTEL_ATTRIBUTE_COUNT_LIMIT"
	attributeLengthLimit = "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
)

// within is a size that is not above that of the queue, which a variable or a
// key of a file sets.
func within(queue int, setBy string) kind[int] {
	k := whole(1, math.MaxInt32, "")
	parse := k.parse
	k.parse = func(text string) (int, error) {
		n, err := parse(text)
		if err == nil && queue != 0 && n > queue {
			err = fmt.Errorf("must not be above %s, %d", setBy, queue)
		}
		return n, err
	}
	return k
}

func (r *reader) spanLimits() sdktrace.SpanLimits {
	return sdktrace.SpanLimits{
		AttributeValueLengthLimit:   read(r, length, defaultLength, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", attributeLengthLimit),
		AttributeCountLimit:         read(r, limit, 128, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", attributeCountLimit),
		EventCountLimit:             read(r, limit, 128, "OTEL_SPAN_EVENT_COUNT_LIMIT"),
		LinkCountLimit:              read(r, limit, 128, "OTEL_SPAN_LINK_COUNT_LIMIT"),
		AttributePerEventCountLimit: read(r, limit, 128, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"),
		AttributePerLinkCountLimit:  read(r, limit, 128, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
	}
}

func (r *reader) metrics(s *Settings, exporters []string, otlp *OTLP) {
	s.Metrics.Exemplars = r.enum("OTEL_METRICS_EXEMPLAR_FILTER")
	interval := read(r, millis, time.Minute, "OTEL_METRIC_EXPORT_INTERVAL")
	most := read(r, timeout, 30*time.Second, "OTEL_METRIC_EXPORT_TIMEOUT")
	for _, e := range exports(exporters, otlp, Batch{ExportTimeout: most}) {
		reader := Reader{Export: e, Interval: interval, Timeout: most}
		if e.OTLP != nil {
			reader.Temporality = r.enum("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
			reader.Histogram = r.enum("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION")
		}
		s.Metrics.Readers = append(s.Metrics.Readers, reader)
	}
}

// plugged reads the variables of exporters that others plug in, if they are
// asked for.
func (r *reader) plugged(s *Settings) {
	if slices.ContainsFunc(s.Metrics.Readers, func(m Reader) bool { return m.Exporter == "prometheus" }) {
		const host, port = "OTEL_EXPORTER_PROMETHEUS_HOST", "OTEL_EXPORTER_PROMETHEUS_PORT"
		s.setValue(host, read(r, plain, "localhost", host))
		s.setValue(port, read(r, whole(0, maxPort, ""), 9464, port))
	}
	if slices.ContainsFunc(s.Spans, func(e Export) bool { return e.Exporter == "zipkin" }) {
		const endpoint, limit = "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT"
		standard := variable(endpoint).Default
		s.setValue(endpoint, read(r, address(standard, ""), mustParse(standard), endpoint))
		s.setValue(limit, read(r, timeout, 10*time.Second, limit))
	}
}

// delivery reads what package delivery is to do.
func (r *reader) delivery(s *Settings) {
	d := &s.Delivery
	d.QueueSize = read(r, size(delivery.MinQueueSize), int64(delivery.DefaultQueueSize), delivery.EnvQueueSize)
	if dir := read(r, plain, None, delivery.EnvSpoolDir); dir != None {
		d.SpoolDir = dir
	}
	d.SpoolSize = read(r, size(delivery.MinSpoolSize), spoolSize(d.QueueSize), delivery.EnvSpoolSize)
	d.SpoolSync = read(r, boolean, false, delivery.EnvSpoolSync)
	d.Journal = read(r, boolean, false, delivery.EnvJournal)
	d.RefusedTimeout = read(r, unbounded, time.Second, delivery.EnvRefusedTimeout)
}

// spoolSize returns the default for a queue.
func spoolSize(queue int64) int64 { return max(4*queue, delivery.MinSpoolSize) }
