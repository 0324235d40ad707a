package settings

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// exports reads the processors and the metric readers. What they send by
// OTLP is delivered as the CLEW_DELIVERY_* variables say.
func (f *file) exports(s *Settings) {
	spans, logs := f.processors("tracer_provider", SignalTraces), f.processors("logger_provider", SignalLogs)
	f.readers(s)
	sent := func(p processor) bool { return p.OTLP != nil }
	if slices.ContainsFunc(spans, sent) || slices.ContainsFunc(logs, sent) ||
		slices.ContainsFunc(s.Metrics.Readers, func(m Reader) bool { return m.OTLP != nil }) {
		f.delivery(s)
	}
	for _, p := range spans {
		s.Spans = append(s.Spans, f.processor(p, "OTEL_BSP", batchOf(p.OTLP, spanBatch, s.Delivery)))
	}
	for _, p := range logs {
		if p.Exporter == ExporterConsole {
			s.PrintLogs = true
			f.use(p.path)
			continue
		}
		s.Logs = append(s.Logs, f.processor(p, "OTEL_BLRP", batchOf(p.OTLP, logBatch, s.Delivery)))
	}
	s.PrintLogs = s.PrintLogs || len(s.Logs) == 0
	f.logExportLevel(s)
}

// processor is an [Export] and where it stands.
type processor struct {
	Export
	path string
}

// processors reads the exporters of a provider.
func (f *file) processors(provider, signal string) []processor {
	var all []processor
	for _, path := range f.entries(provider + ".processors") {
		for _, kind := range []string{".batch", ".simple"} {
			if !f.has(path + kind) {
				continue
			}
			if e, ok := f.exporter(path+kind+".exporter", signal); ok {
				all = append(all, processor{e, path + kind})
			} else {
				f.use(path + kind) // its batch is of no use
			}
		}
	}
	return all
}

// processor reads the batch, which is of any size or, of a simple processor,
// of one.
func (f *file) processor(p processor, prefix string, def Batch) Export {
	e := p.Export
	if strings.HasSuffix(p.path, ".simple") {
		def.Size = 1
	}
	key := func(name string) string { return p.path + "." + name }
	e.Batch.QueueSize = at(f, queueSize, prefix+"_MAX_QUEUE_SIZE", key("max_queue_size"), def.QueueSize)
	e.Batch.Size = at(f, within(e.Batch.QueueSize, "max_queue_size"), prefix+"_MAX_EXPORT_BATCH_SIZE", key("max_export_batch_size"), fitting(def.Size, e.Batch.QueueSize))
	e.Batch.Delay = at(f, delay, prefix+"_SCHEDULE_DELAY", key("schedule_delay"), def.Delay)
	e.Batch.ExportTimeout = at(f, timeout, prefix+"_EXPORT_TIMEOUT", key("export_timeout"), def.ExportTimeout)
	if e.OTLP != nil {
		e.OTLP.limitTimeout(e.Batch.ExportTimeout)
	}
	return e
}

// exporterVariables name the variable that says which exporter a signal has.
var exporterVariables = map[string]string{
	SignalTraces: "OTEL_TRACES_EXPORTER", SignalMetrics: "OTEL_METRICS_EXPORTER", SignalLogs: "OTEL_LOGS_EXPORTER",
}

// exporter reads the one exporter at path. It is not ok if there is none that
// can be used.
func (f *file) exporter(path, signal string) (e Export, ok bool) {
	keys := f.keys(path)
	if len(keys) != 1 {
		f.reject(path, fmt.Sprintf("must be one exporter, not %d", len(keys)))
		return e, false
	}
	variable := exporterVariables[signal]
	switch name := keys[0]; name {
	case "otlp_http", "otlp_grpc":
		if grpc := name == "otlp_grpc"; grpc && !slices.Contains(names(otlpPrefix+"PROTOCOL"), ProtocolGRPC) {
			f.use(path)
			f.reject(path, name+" is not available"+importHint(otlpPrefix+"PROTOCOL", ProtocolGRPC, ": ", ""))
			return e, false
		}
		e = Export{Exporter: ExporterOTLP, OTLP: f.otlp(path+"."+name, name == "otlp_grpc", signal)}
	default:
		e.Exporter = name
		switch {
		case !slices.Contains(names(variable), name):
			f.use(path)
			f.reject(path, fmt.Sprintf("unknown %q%s, must be otlp_http, otlp_grpc or one of %s", name, importHint(variable, name, " (", ")"), either(names(variable))))
			return e, false
		case name == "zipkin":
			f.zipkin(path + ".zipkin")
		case name == "prometheus":
			f.use(path)
			f.reject(path, "prometheus/development must stand in a pull reader, not in a periodic one")
			return e, false
		default:
			f.use(path + "." + name)
		}
	}
	f.record(variable, e.Exporter, path)
	return e, true
}

// zipkin reads where spans are posted.
func (f *file) zipkin(path string) {
	const endpoint, limit = "OTEL_EXPORTER_ZIPKIN_ENDPOINT", "OTEL_EXPORTER_ZIPKIN_TIMEOUT"
	f.value(path) // an empty one is understood
	standard := variable(endpoint).Default
	f.settings.setValue(endpoint, at(f, address(standard, ""), endpoint, path+".endpoint", mustParse(standard)))
	f.settings.setValue(limit, at(f, timeout, limit, path+".timeout", 10*time.Second))
}

// otlp reads how a signal is sent.
func (f *file) otlp(path string, grpc bool, signal string) *OTLP {
	prefix := otlpPrefix + strings.ToUpper(signal) + "_"
	c := &OTLP{Signal: signal, Protocol: ProtocolProtobuf}
	f.value(path) // an empty one is understood
	if f.text(path+".encoding") == "json" {
		c.Protocol = ProtocolJSON
	}
	if grpc {
		c.Protocol = ProtocolGRPC
	}
	f.record(prefix+"PROTOCOL", c.Protocol, path)
	endpoint := f.text(path + ".endpoint")
	if grpc {
		const key = ".tls.insecure"
		secure := resolveSecurity(&f.report, prefix+"INSECURE", path+key, f.text(path+key))
		c.resolveTarget(&f.report, secure, prefix+"ENDPOINT", path+".endpoint", endpoint)
	} else {
		c.Endpoint = resolveEndpoint(&f.report, signal, prefix+"ENDPOINT", path+".endpoint", endpoint, false)
	}
	c.Timeout = at(f, timeout, prefix+"TIMEOUT", path+".timeout", 10*time.Second)
	c.Gzip = at(f, oneOf([]string{"gzip", None}), prefix+"COMPRESSION", path+".compression", None) == "gzip"
	ca, certificate, key := path+".tls.ca_file", path+".tls.cert_file", path+".tls.key_file"
	c.TLS = resolveTLS(&f.report, prefix+"CERTIFICATE", ca, f.text(ca), prefix+"CLIENT_CERTIFICATE", certificate, f.text(certificate), key, f.text(key))
	c.TLS.Host = c.Endpoint.Hostname()
	f.headers(c, prefix+"HEADERS", path)
	c.authorize()
	return c
}

// headers reads the list and the entries; the later one of a name counts.
func (f *file) headers(c *OTLP, variable, path string) {
	inList := &reader{lookup: func(string) (string, bool) { return f.text(path + ".headers_list"), true }}
	c.Headers = inList.headers([]string{path + ".headers_list"})
	f.problems = append(f.problems, inList.problems...)
	var bad []string
	for _, entry := range f.entries(path + ".headers") {
		name, value := f.text(entry+".name"), f.value(entry+".value")
		if value == nil {
			continue
		}
		if text := fmt.Sprint(value); !validHeader(name, text) {
			bad = append(bad, name)
		} else {
			c.Headers[http.CanonicalHeaderKey(name)] = text
		}
	}
	source := path + ".headers"
	if len(c.Headers) == 0 && bad == nil {
		source = ""
	}
	f.reportHeaders(variable, source, c.Headers, bad)
}
