package conformance

import "github.com/clewtrace/clew/internal/workload"

const (
	traces  = "/v1/traces"
	metrics = "/v1/metrics"
	logs    = "/v1/logs"
)

func rows() []row {
	var all []row
	for _, group := range [][]row{generalRows(), samplerRows(), propagatorRows(), exporterRows(), otlpRows(), grpcRows(), batchRows(), limitRows(), metricRows(), fileRows()} {
		all = append(all, group...)
	}
	return all
}

func generalRows() []row {
	return []row{
		{variable: "OTEL_SDK_DISABLED", value: "true", look: everything, want: "nothing; the request carried the caller's traceparent"},
		{variable: "OTEL_SDK_DISABLED", value: "FALSE", look: everything, want: "traces, metrics, logs"},
		{variable: "OTEL_SERVICE_NAME", value: "checkout", with: []string{"OTEL_RESOURCE_ATTRIBUTES=service.name=ignored"}, look: resource("service.name"), want: "service.name=checkout"},
		{variable: "OTEL_SERVICE_NAME", value: "", look: resource("service.name"), want: "service.name=unknown_service:conformance.test"},
		{variable: "OTEL_RESOURCE_ATTRIBUTES", value: "team=caf%C3%A9%2Cbar, region = eu ", look: resource("team", "region"), want: "team=café,bar region=eu"},
		{variable: "OTEL_RESOURCE_ATTRIBUTES", value: "team=a,region", look: resource("team", "region"), want: "team= region="},
		{variable: "OTEL_LOG_LEVEL", value: "debug", look: printed("Tracer created", "TracerProvider shutting down"), want: "printed: Tracer created"},
		{variable: "OTEL_LOG_LEVEL", value: "error", with: refused, note: "the collector refuses", look: printed("level=WARN msg=opentelemetry", "Tracer created"), want: "printed: level=WARN msg=opentelemetry", hold: "said", say: "level=WARN msg=opentelemetry"},
		{variable: "OTEL_LOG_LEVEL", value: "none", with: append(refused, "OTEL_BSP_SCHEDULE_DELAY=bad"), note: "the collector refuses", look: printed("msg=opentelemetry", "OTEL_BSP"), want: "printed nothing", hold: "twice"},
	}
}

// refused makes exporting fail while the program runs, again and again.
var refused = []string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT={url}/nowhere", "OTEL_METRIC_EXPORT_INTERVAL=10"}

func samplerRows() []row {
	sampler := func(name, arg, want string) row {
		r := row{variable: "OTEL_TRACES_SAMPLER", value: name, look: spanNames, want: want}
		if arg != "" {
			r.with, r.note = []string{"OTEL_TRACES_SAMPLER_ARG=" + arg}, "`OTEL_TRACES_SAMPLER_ARG="+arg+"`"
		}
		return r
	}
	return []row{
		sampler("", "", "root, child of sampled"),
		sampler("always_on", "", "root, child of sampled, child of unsampled"),
		sampler("Always_OFF", "", "no spans"),
		sampler("traceidratio", "1", "root, child of sampled, child of unsampled"),
		sampler("traceidratio", "0", "no spans"),
		sampler("parentbased_always_on", "", "root, child of sampled"),
		sampler("parentbased_always_off", "", "child of sampled"),
		sampler("parentbased_traceidratio", "0", "child of sampled"),
		sampler("parentbased_traceidratio", "", "root, child of sampled"),
		sampler("probability", "0", "no spans"),
		sampler("parentbased_probability", "0", "child of sampled"),
		sampler("adaptive", "1000", "root, child of sampled, child of unsampled"),
		sampler("parentbased_adaptive", "traces_per_second=1000,max_operations=10", "root, child of sampled"),
		sampler("rules", "{rules}", "root"),
		sampler("parentbased_rules", "{rules}", "root, child of sampled"),
		ofContrib(sampler("jaeger_remote", "endpoint={url}/nowhere,initialSamplingRate=1", "root, child of sampled, child of unsampled")),
		ofContrib(sampler("parentbased_jaeger_remote", "endpoint={url}/nowhere,initialSamplingRate=0", "child of sampled")),
		{
			contrib: true, variable: "OTEL_TRACES_SAMPLER", value: "jaeger_remote", with: []string{"OTEL_TRACES_SAMPLER_ARG=endpoint={url}/sampling,pollingIntervalMs=10"},
			note: "`OTEL_TRACES_SAMPLER_ARG=endpoint=http://collector:4318/sampling,pollingIntervalMs=10`", hold: "/sampling",
			look: asked("/sampling"), want: "requests to /sampling",
		},
	}
}

func ofContrib(r row) row {
	r.contrib = true
	return r
}

func propagatorRows() []row {
	propagator := func(names, want string) row {
		return row{variable: "OTEL_PROPAGATORS", value: names, look: sentHeaders, want: want}
	}
	return []row{
		propagator("", "sent baggage, traceparent"),
		propagator("tracecontext, baggage,tracecontext", "sent baggage, traceparent"),
		propagator("TraceContext", "sent traceparent"),
		propagator("b3", "sent B3"),
		propagator("b3multi", "sent X-B3-Sampled, X-B3-Spanid, X-B3-Traceid"),
		propagator("jaeger", "sent Uber-Trace-Id"),
		propagator("xray", "sent X-Amzn-Trace-Id"),
		propagator("ottrace,tracecontext", "sent Ot-Baggage-User, Ot-Tracer-Sampled, Ot-Tracer-Spanid, Ot-Tracer-Traceid, traceparent"),
		propagator("none", "sent nothing"),
	}
}

func exporterRows() []row {
	return []row{
		{variable: "OTEL_TRACES_EXPORTER", value: "none", look: everything, want: "metrics, logs"},
		{variable: "OTEL_TRACES_EXPORTER", value: "console", look: andPrinted(`"work"`), want: "metrics, logs; printed"},
		{variable: "OTEL_TRACES_EXPORTER", value: "otlp , CONSOLE", look: andPrinted(`"work"`), want: "traces, metrics, logs; printed"},
		{
			contrib: true, variable: "OTEL_TRACES_EXPORTER", value: "zipkin,otlp", with: []string{"OTEL_EXPORTER_ZIPKIN_ENDPOINT={url}/api/v2/spans"},
			note: "`OTEL_EXPORTER_ZIPKIN_ENDPOINT=http://collector:4318/api/v2/spans`", look: paths, want: "requests to /api/v2/spans, /v1/logs, /v1/metrics, /v1/traces",
		},
		{
			variable: "OTEL_METRICS_EXPORTER", value: "prometheus", with: scraped, note: "`OTEL_EXPORTER_PROMETHEUS_PORT=9090`, and a scrape",
			look: scrapedMetrics, want: "traces, logs; orders_total 1 served",
		},
		{
			variable: "OTEL_EXPORTER_PROMETHEUS_HOST", value: "127.0.0.1", with: append(scraped, "OTEL_METRICS_EXPORTER=prometheus,otlp"), note: "a scrape",
			look: scrapedMetrics, want: "traces, metrics, logs; orders_total 1 served",
		},
		{variable: "OTEL_METRICS_EXPORTER", value: "none", look: everything, want: "traces, logs"},
		{variable: "OTEL_METRICS_EXPORTER", value: "console,otlp", look: andPrinted(`"orders"`), want: "traces, metrics, logs; printed"},
		{variable: "OTEL_LOGS_EXPORTER", value: "otlp", look: andPrinted("hello"), want: "traces, metrics, logs"},
		{variable: "OTEL_LOGS_EXPORTER", value: "console", look: andPrinted("hello"), want: "traces, metrics; printed"},
		{variable: "OTEL_LOGS_EXPORTER", value: "none", look: andPrinted("hello"), want: "traces, metrics; printed", stock: "traces, metrics"},
		{variable: "OTEL_LOGS_EXPORTER", value: "otlp,console", look: andPrinted("hello"), want: "traces, metrics, logs; printed"},
		{variable: "CLEW_LOG_EXPORT_LEVEL", value: "warn", look: andPrinted("hello"), want: "traces, metrics; printed"},
		{variable: "CLEW_LOG_EXPORT_LEVEL", value: "Info+0", look: andPrinted("hello"), want: "traces, metrics, logs; printed"},
	}
}

// scraped makes the program print what it serves.
var scraped = []string{"OTEL_EXPORTER_PROMETHEUS_PORT={port}", workload.ScrapeEnv + "=http://localhost:{port}/metrics"}

func grpcRows() []row {
	grpc := []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_ENDPOINT=http://{grpc}"}
	const note = "over gRPC"
	return []row{
		{variable: "OTEL_EXPORTER_OTLP_PROTOCOL", value: "grpc", with: grpc, look: onEach("Content-Type"), want: each("", "application/grpc", "")},
		{variable: "OTEL_EXPORTER_OTLP_HEADERS", value: "api-key=a%20b", with: grpc, note: note, look: onEach("Api-Key"), want: each("", "a b", "")},
		{variable: "OTEL_EXPORTER_OTLP_COMPRESSION", value: "gzip", with: grpc, note: note, look: onEach("Grpc-Encoding"), want: each("", "gzip", "")},
		{
			variable: "OTEL_EXPORTER_OTLP_CERTIFICATE", value: "{ca}", with: []string{grpc[0], "OTEL_EXPORTER_OTLP_ENDPOINT=https://{grpc}"}, secure: true, note: note,
			look: everything, want: "traces, metrics, logs",
		},
		{
			variable: "OTEL_EXPORTER_OTLP_INSECURE", value: "true", with: []string{grpc[0], "OTEL_EXPORTER_OTLP_ENDPOINT={grpc}"}, note: note + ", endpoint without a scheme",
			look: everything, want: "traces, metrics, logs",
		},
		{variable: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "dns:///{grpc}", with: []string{grpc[0], "OTEL_EXPORTER_OTLP_INSECURE=true"}, note: note, look: everything, want: "traces, metrics, logs"},
		{variable: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "unix://{socket}", with: grpc[:1], note: note, look: everything, want: "traces, metrics, logs"},
	}
}

// otlpRows sets each option for all signals, and for each of them alone.
func otlpRows() []row {
	all := []row{
		{variable: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "{url}/base/", look: paths, want: "requests to /base/v1/logs, /base/v1/metrics, /base/v1/traces"},
		{variable: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value: "{url}/mine", own: "/mine", look: paths, want: "requests to /mine, /v1/logs, /v1/metrics"},
		{variable: "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", value: "{url}", look: paths, want: "requests to /, /v1/logs, /v1/traces"},
		{variable: "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", value: "{url}/a%2Fb", look: paths, want: "requests to /a/b, /v1/metrics, /v1/traces"},
		{variable: "OTEL_EXPORTER_OTLP_ENDPOINT", value: "http://user:pass@{host}", look: header(traces, "Authorization"), want: "Authorization: Basic dXNlcjpwYXNz"},
	}
	for _, signal := range []struct{ name, path string }{{"", ""}, {"TRACES_", traces}, {"METRICS_", metrics}, {"LOGS_", logs}} {
		prefix := "OTEL_EXPORTER_OTLP_" + signal.name
		secure := "OTEL_EXPORTER_OTLP_CERTIFICATE={ca}"
		all = append(all,
			row{variable: prefix + "PROTOCOL", value: "http/json", look: onEach("Content-Type"), want: each(signal.path, "application/json", "application/x-protobuf")},
			row{variable: prefix + "HEADERS", value: "api-key=a%20b%2Cc, x=1", look: onEach("Api-Key"), want: each(signal.path, "a b,c", "")},
			row{variable: prefix + "COMPRESSION", value: "gzip", look: onEach("Content-Encoding"), want: each(signal.path, "gzip", "")},
			row{
				variable: prefix + "COMPRESSION", value: "gzip", with: []string{"OTEL_EXPORTER_OTLP_PROTOCOL=http/json"}, note: "as JSON",
				look: onEach("Content-Encoding"), want: each(signal.path, "gzip", ""),
			},
			row{variable: prefix + "CERTIFICATE", value: "{ca}", secure: true, look: everything, want: trusted(signal.path)},
			row{
				variable: prefix + "CLIENT_CERTIFICATE", value: "{cert}", with: []string{secure, prefix + "CLIENT_KEY={key}"}, secure: true,
				note: "`" + prefix + "CLIENT_KEY=client-key.pem`", look: clientCertificates, want: each(signal.path, "client certificate", ""),
			})
		if signal.path != "" {
			all = append(all, row{
				variable: prefix + "TIMEOUT", value: "100", stall: signal.path, hold: "abandoned", with: quick, note: "the collector does not answer",
				look: gaveUp, want: "the request ended while the program ran",
			})
		}
	}
	return append(all, row{
		variable: "OTEL_EXPORTER_OTLP_TIMEOUT", value: "100", stall: traces, hold: "abandoned", with: quick, note: "the collector does not answer",
		look: gaveUp, want: "the request ended while the program ran",
	})
}

// quick makes every signal be exported at once.
var quick = []string{"OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_BLRP_SCHEDULE_DELAY=10", "OTEL_METRIC_EXPORT_INTERVAL=10"}

func batchRows() []row {
	const late = "60000"
	only := func(signals ...string) []string {
		var with []string
		for _, s := range signals {
			with = append(with, s+"="+late)
		}
		return with
	}
	return []row{
		{variable: "OTEL_BSP_SCHEDULE_DELAY", value: "50", with: only("OTEL_BLRP_SCHEDULE_DELAY"), hold: "any", look: firstRequest, want: "/v1/traces while the program ran"},
		{variable: "OTEL_BSP_SCHEDULE_DELAY", value: "0", with: only("OTEL_BLRP_SCHEDULE_DELAY"), hold: "any", look: firstRequest, want: "/v1/traces while the program ran"},
		{variable: "OTEL_BLRP_SCHEDULE_DELAY", value: "0", with: only("OTEL_BSP_SCHEDULE_DELAY"), hold: "any", look: firstRequest, want: "/v1/logs while the program ran"},
		{variable: "OTEL_BLRP_SCHEDULE_DELAY", value: "50", with: only("OTEL_BSP_SCHEDULE_DELAY"), hold: "any", look: firstRequest, want: "/v1/logs while the program ran"},
		{variable: "OTEL_METRIC_EXPORT_INTERVAL", value: "50", with: only("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"), hold: "any", look: firstRequest, want: "/v1/metrics while the program ran"},
		{variable: "OTEL_BSP_EXPORT_TIMEOUT", value: "100", with: quick, stall: traces, hold: "abandoned", note: "the collector does not answer", look: gaveUp, want: "the request ended while the program ran"},
		{variable: "OTEL_BLRP_EXPORT_TIMEOUT", value: "100", with: quick, stall: logs, hold: "abandoned", note: "the collector does not answer", look: gaveUp, want: "the request ended while the program ran"},
		{variable: "OTEL_METRIC_EXPORT_TIMEOUT", value: "100", with: quick, stall: metrics, hold: "abandoned", note: "the collector does not answer", look: gaveUp, want: "the request ended while the program ran"},
		{variable: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", value: "1", look: requestsTo(traces), want: "3 requests to /v1/traces"},
		{variable: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", value: "1", look: requestsTo(logs), want: "1 request to /v1/logs"},
		{
			contrib: true, variable: "OTEL_BSP_MAX_QUEUE_SIZE", value: "2", with: []string{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1", "OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_ZIPKIN_ENDPOINT={url}/api/v2/spans"},
			stall: "/api/v2/spans", hold: "done", spans: "1000",
			note: "1000 spans to Zipkin, which does not answer", look: fewRequests("/api/v2/spans"), want: "less than 10 requests",
		},
		{
			variable: "OTEL_BSP_MAX_QUEUE_SIZE", value: "2", stall: traces, hold: "done", spans: "1000",
			note: "1000 spans while the collector does not answer", look: printed("the queue of 2 spans is full"), want: "printed: the queue of 2 spans is full",
		},
		{
			variable: "OTEL_BSP_MAX_QUEUE_SIZE", value: "2048", stall: traces, hold: "done", spans: "1000",
			note: "1000 spans while the collector does not answer", look: spanCount, want: "1003 spans",
		},
	}
}

func limitRows() []row {
	row1 := func(variable, value, want string, look func(*outcome) string) row {
		return row{variable: variable, value: value, look: look, want: want}
	}
	return []row{
		row1("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", "span a=01234 b=01234, log a=01234 b=01234", attributes),
		row1("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "span a=0123456789 b=0123456789, log a=0123456789 b=0123456789", attributes),
		row1("OTEL_ATTRIBUTE_COUNT_LIMIT", "1", "span a=0123456789, log a=0123456789", attributes),
		row1("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", "span a=01234 b=01234, log a=0123456789 b=0123456789", attributes),
		row1("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", "span, log a=0123456789 b=0123456789", attributes),
		row1("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5", "span a=0123456789 b=0123456789, log a=01234 b=01234", attributes),
		row1("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "1", "span a=0123456789 b=0123456789, log a=0123456789", attributes),
		row1("OTEL_SPAN_EVENT_COUNT_LIMIT", "1", "1 event with 2 attributes, 2 links with 2 attributes", eventsAndLinks),
		row1("OTEL_SPAN_LINK_COUNT_LIMIT", "1", "2 events with 2 attributes, 1 link with 2 attributes", eventsAndLinks),
		row1("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1", "2 events with 1 attribute, 2 links with 2 attributes", eventsAndLinks),
		row1("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "1", "2 events with 2 attributes, 2 links with 1 attribute", eventsAndLinks),
	}
}

func metricRows() []row {
	preference := func(value, want string) row {
		return row{variable: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", value: value, look: temporality, want: want}
	}
	histogram := func(value, want string) row {
		return row{variable: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", value: value, look: aggregation, want: want}
	}
	filter := func(value, want string) row {
		return row{variable: "OTEL_METRICS_EXEMPLAR_FILTER", value: value, look: exemplars, want: want}
	}
	return []row{
		preference("", "counter cumulative, histogram cumulative"),
		preference("delta", "counter delta, histogram delta"),
		preference("LowMemory", "counter delta, histogram delta"),
		preference("cumulative", "counter cumulative, histogram cumulative"),
		histogram("", "explicit buckets"),
		histogram("base2_exponential_bucket_histogram", "exponential buckets"),
		filter("", "1 exemplar, of the sampled span"),
		filter("always_on", "2 exemplars"),
		filter("always_off", "0 exemplars"),
	}
}
