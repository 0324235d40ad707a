package conformance

// sendAll is the part of a configuration file that sends every signal.
const sendAll = `file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "{url}/v1/traces"}}}
meter_provider:
  readers:
    - periodic: {exporter: {otlp_http: {endpoint: "{url}/v1/metrics"}}}
logger_provider:
  processors:
    - simple: {exporter: {otlp_http: {endpoint: "{url}/v1/logs"}}}
`

// sendTraces is like sendAll; what follows belongs to the tracer provider.
const sendTraces = `file_format: "1.0"
tracer_provider:
  processors:
    - simple: {exporter: {otlp_http: {endpoint: "{url}/v1/traces"}}}
`

// fileRows are about a configuration file. The harness sets
// OTEL_EXPORTER_OTLP_ENDPOINT too, which does not count then.
func fileRows() []row {
	file := func(note, text, want string, look func(*outcome) string, with ...string) row {
		return row{variable: "OTEL_CONFIG_FILE", value: "{config}", note: note, file: text, with: with, look: look, want: want}
	}
	sampler := func(sampler, want string) row {
		return file("sampler `"+sampler+"`", sendTraces+"  sampler: "+sampler+"\n", want, spanNames)
	}
	return []row{
		file("three signals to the collector", sendAll, "traces, metrics, logs", everything),
		file("no processors", "file_format: \"1.0\"\n", "nothing", everything),
		file("`disabled: true`", "disabled: true\n"+sendAll, "nothing", everything),
		file("attributes; `OTEL_SERVICE_NAME=other`, `OTEL_RESOURCE_ATTRIBUTES=team=b`", sendAll+`resource:
  attributes_list: "team=a,region=eu"
  attributes:
    - name: service.name
      value: ${NAME:-checkout}
    - name: region
      value: us
`, "service.name=checkout team=a region=us", resource("service.name", "team", "region"), "OTEL_SERVICE_NAME=other", "OTEL_RESOURCE_ATTRIBUTES=team=b"),
		sampler("{always_on: }", "root, child of sampled, child of unsampled"),
		sampler("{parent_based: {root: {trace_id_ratio_based: {ratio: 0}}}}", "child of sampled"),
		sampler("{parent_based: {root: {always_off: }, remote_parent_not_sampled: {always_on: }, remote_parent_sampled: {always_off: }}}", "child of unsampled"),
		sampler("{probability: {ratio: 0}}", "no spans"),
		sampler("{parent_based: {root: {adaptive: {traces_per_second: 1000, max_operations: 10}}}}", "root, child of sampled"),
		sampler("{rules: {file: '{rules}'}}", "root"),
		sampler("{parent_based: {root: {rules: {file: '{rules}'}}, remote_parent_sampled: {always_off: }}}", "root"),
		file("`propagator: {composite: [{tracecontext: }, {b3: }]}`", sendTraces+"propagator: {composite: [{tracecontext: }, {b3: }]}\n", "sent B3, traceparent", sentHeaders),
		file("`propagator: {composite_list: 'clew,baggage'}`", sendTraces+"propagator: {composite_list: 'clew,baggage'}\n", "sent baggage, traceparent", sentHeaders),
		file("no propagator", sendTraces, "sent nothing", sentHeaders),
		file("two processors, one of them for the console", sendTraces+"    - simple: {exporter: {console: }}\n", "traces; printed", andPrinted(`"work"`)),
		file("log processor `console`", "file_format: \"1.0\"\nlogger_provider: {processors: [{simple: {exporter: {console: }}}]}\n", "; printed", andPrinted("hello")),
		file("`otlp_http: {encoding: json, compression: gzip, headers: ...}`", `file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "{url}/v1/traces", encoding: json, compression: gzip, headers_list: "api-key=b", headers: [{name: api-key, value: "a b,c"}]}}}
`, "application/json; gzip; a b,c", tracesHeaders("Content-Type", "Content-Encoding", "Api-Key")),
		file("`otlp_grpc`", `file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_grpc: {endpoint: "http://{grpc}"}}}
meter_provider:
  readers:
    - periodic: {exporter: {otlp_grpc: {endpoint: "http://{grpc}"}}}
logger_provider:
  processors:
    - batch: {exporter: {otlp_grpc: {endpoint: "http://{grpc}"}}}
`, each("", "application/grpc", ""), onEach("Content-Type")),
		file("`limits`", sendAll+`attribute_limits: {attribute_value_length_limit: 5}
`, "span a=01234 b=01234, log a=01234 b=01234", attributes),
		file("a view that drops", `file_format: "1.0"
meter_provider:
  readers:
    - periodic: {exporter: {otlp_http: {endpoint: "{url}/v1/metrics", temporality_preference: delta}}}
  views:
    - {selector: {instrument_name: orders}, stream: {aggregation: {drop: {}}}}
`, "counter unspecified, histogram delta", temporality),
		file("ratio 7", sendTraces+"  sampler: {trace_id_ratio_based: {ratio: 7}}\n",
			"printed: tracer_provider.sampler.trace_id_ratio_based=\\\"7\\\": ratio must be between 0 and 1; using 1", printed(`tracer_provider.sampler.trace_id_ratio_based=\"7\": ratio must be between 0 and 1; using 1`)),
		file("an unknown key", sendTraces+"  sampling: {much: }\n",
			"printed: OTEL_CONFIG_FILE: tracer_provider.sampling: not supported, and ignored", printed("OTEL_CONFIG_FILE: tracer_provider.sampling: not supported, and ignored")),
		{
			variable: "OTEL_CONFIG_FILE", value: "missing.yaml", look: andPrinted("using the other variables"), want: "traces, metrics, logs; printed",
		},
	}
}
