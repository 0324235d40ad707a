package otlp

// Request names one of the three messages that are exported. The zero value is the
// request for traces.
type Request uint8

// The order is that of the signals in package delivery.
const (
	TraceRequest   Request = iota // ExportTraceServiceRequest
	MetricsRequest                // ExportMetricsServiceRequest
	LogsRequest                   // ExportLogsServiceRequest
)

// A kind is the type of a field: one of these, or one of the messages below.
type kind uint8

const (
	text    kind = iota + 1 // string
	binary                  // bytes
	id                      // bytes: a trace or span id
	boolean                 // bool
	int32s                  // int32 and enum
	int64s                  // int64
	uint32s                 // uint32
	uint64s                 // uint64
	sint32s                 // sint32
	fixed32s
	fixed64s
	sfixed64s
	doubles

	traceRequest
	metricsRequest
	logsRequest
	resourceSpans
	resourceMetrics
	resourceLogs
	scopeSpans
	scopeMetrics
	scopeLogs
	resources
	entityRef
	scope
	keyValue
	anyValue
	arrayValue
	keyValueList
	span
	spanEvent
	spanLink
	spanStatus
	logRecord
	metric
	gauge
	sum
	histogram
	exponentialHistogram
	summary
	numberDataPoint
	histogramDataPoint
	exponentialHistogramDataPoint
	buckets
	summaryDataPoint
	valueAtQuantile
	exemplar
	numKinds
)

// label says how often a field is there.
type label uint8

const (
	plain    label = iota // once; not being there means the zero value
	many                  // repeated
	optional              // at most once
	either                // at most once, and then none of the other fields with this label
)

// field describes a field of a message.
type field struct {
	name  string // in JSON
	kind  kind
	label label
}

// maxField is the greatest number of a field.
const maxField = 16

// schema has the fields of each message, at their numbers. It is the state of
// go.opentelemetry.io/proto/otlp, which the tests compare it with.
var schema = [numKinds][]field{
	traceRequest:   {1: {"resourceSpans", resourceSpans, many}},
	metricsRequest: {1: {"resourceMetrics", resourceMetrics, many}},
	logsRequest:    {1: {"resourceLogs", resourceLogs, many}},

	resourceSpans:   {1: {"resource", resources, plain}, 2: {"scopeSpans", scopeSpans, many}, 3: {"schemaUrl", text, plain}},
	resourceMetrics: {1: {"resource", resources, plain}, 2: {"scopeMetrics", scopeMetrics, many}, 3: {"schemaUrl", text, plain}},
	resourceLogs:    {1: {"resource", resources, plain}, 2: {"scopeLogs", scopeLogs, many}, 3: {"schemaUrl", text, plain}},
	scopeSpans:      {1: {"scope", scope, plain}, 2: {"spans", span, many}, 3: {"schemaUrl", text, plain}},
	scopeMetrics:    {1: {"scope", scope, plain}, 2: {"metrics", metric, many}, 3: {"schemaUrl", text, plain}},
	scopeLogs:       {1: {"scope", scope, plain}, 2: {"logRecords", logRecord, many}, 3: {"schemaUrl", text, plain}},

	resources: {1: {"attributes", keyValue, many}, 2: {"droppedAttributesCount", uint32s, plain}, 3: {"entityRefs", entityRef, many}},
	entityRef: {1: {"schemaUrl", text, plain}, 2: {"type", text, plain}, 3: {"idKeys", text, many}, 4: {"descriptionKeys", text, many}},
	scope: {
		1: {"name", text, plain}, 2: {"version", text, plain}, 3: {"attributes", keyValue, many},
		4: {"droppedAttributesCount", uint32s, plain},
	},
	keyValue: {1: {"key", text, plain}, 2: {"value", anyValue, plain}, 3: {"keyStrindex", int32s, plain}},
	anyValue: {
		1: {"stringValue", text, either}, 2: {"boolValue", boolean, either}, 3: {"intValue", int64s, either},
		4: {"doubleValue", doubles, either}, 5: {"arrayValue", arrayValue, either}, 6: {"kvlistValue", keyValueList, either},
		7: {"bytesValue", binary, either}, 8: {"stringValueStrindex", int32s, either},
	},
	arrayValue:   {1: {"values", anyValue, many}},
	keyValueList: {1: {"values", keyValue, many}},

	span: {
		1: {"traceId", id, plain}, 2: {"spanId", id, plain}, 3: {"traceState", text, plain}, 4: {"parentSpanId", id, plain},
		5: {"name", text, plain}, 6: {"kind", int32s, plain}, 7: {"startTimeUnixNano", fixed64s, plain}, 8: {"endTimeUnixNano", fixed64s, plain},
		9: {"attributes", keyValue, many}, 10: {"droppedAttributesCount", uint32s, plain},
		11: {"events", spanEvent, many}, 12: {"droppedEventsCount", uint32s, plain},
		13: {"links", spanLink, many}, 14: {"droppedLinksCount", uint32s, plain},
		15: {"status", spanStatus, plain}, 16: {"flags", fixed32s, plain},
	},
	spanEvent: {
		1: {"timeUnixNano", fixed64s, plain}, 2: {"name", text, plain}, 3: {"attributes", keyValue, many},
		4: {"droppedAttributesCount", uint32s, plain},
	},
	spanLink: {
		1: {"traceId", id, plain}, 2: {"spanId", id, plain}, 3: {"traceState", text, plain}, 4: {"attributes", keyValue, many},
		5: {"droppedAttributesCount", uint32s, plain}, 6: {"flags", fixed32s, plain},
	},
	spanStatus: {2: {"message", text, plain}, 3: {"code", int32s, plain}},

	logRecord: {
		1: {"timeUnixNano", fixed64s, plain}, 2: {"severityNumber", int32s, plain}, 3: {"severityText", text, plain},
		5: {"body", anyValue, plain}, 6: {"attributes", keyValue, many}, 7: {"droppedAttributesCount", uint32s, plain},
		8: {"flags", fixed32s, plain}, 9: {"traceId", id, plain}, 10: {"spanId", id, plain},
		11: {"observedTimeUnixNano", fixed64s, plain}, 12: {"eventName", text, plain},
	},

	metric: {
		1: {"name", text, plain}, 2: {"description", text, plain}, 3: {"unit", text, plain},
		5: {"gauge", gauge, either}, 7: {"sum", sum, either}, 9: {"histogram", histogram, either},
		10: {"exponentialHistogram", exponentialHistogram, either}, 11: {"summary", summary, either},
		12: {"metadata", keyValue, many},
	},
	gauge:                {1: {"dataPoints", numberDataPoint, many}},
	sum:                  {1: {"dataPoints", numberDataPoint, many}, 2: {"aggregationTemporality", int32s, plain}, 3: {"isMonotonic", boolean, plain}},
	histogram:            {1: {"dataPoints", histogramDataPoint, many}, 2: {"aggregationTemporality", int32s, plain}},
	exponentialHistogram: {1: {"dataPoints", exponentialHistogramDataPoint, many}, 2: {"aggregationTemporality", int32s, plain}},
	summary:              {1: {"dataPoints", summaryDataPoint, many}},
	numberDataPoint: {
		2: {"startTimeUnixNano", fixed64s, plain}, 3: {"timeUnixNano", fixed64s, plain},
		4: {"asDouble", doubles, either}, 5: {"exemplars", exemplar, many}, 6: {"asInt", sfixed64s, either},
		7: {"attributes", keyValue, many}, 8: {"flags", uint32s, plain},
	},
	histogramDataPoint: {
		2: {"startTimeUnixNano", fixed64s, plain}, 3: {"timeUnixNano", fixed64s, plain},
		4: {"count", fixed64s, plain}, 5: {"sum", doubles, optional}, 6: {"bucketCounts", fixed64s, many}, 7: {"explicitBounds", doubles, many},
		8: {"exemplars", exemplar, many}, 9: {"attributes", keyValue, many}, 10: {"flags", uint32s, plain},
		11: {"min", doubles, optional}, 12: {"max", doubles, optional},
	},
	exponentialHistogramDataPoint: {
		1: {"attributes", keyValue, many}, 2: {"startTimeUnixNano", fixed64s, plain}, 3: {"timeUnixNano", fixed64s, plain},
		4: {"count", fixed64s, plain}, 5: {"sum", doubles, optional}, 6: {"scale", sint32s, plain}, 7: {"zeroCount", fixed64s, plain},
		8: {"positive", buckets, plain}, 9: {"negative", buckets, plain}, 10: {"flags", uint32s, plain}, 11: {"exemplars", exemplar, many},
		12: {"min", doubles, optional}, 13: {"max", doubles, optional}, 14: {"zeroThreshold", doubles, plain},
	},
	buckets: {1: {"offset", sint32s, plain}, 2: {"bucketCounts", uint64s, many}},
	summaryDataPoint: {
		2: {"startTimeUnixNano", fixed64s, plain}, 3: {"timeUnixNano", fixed64s, plain},
		4: {"count", fixed64s, plain}, 5: {"sum", doubles, plain}, 6: {"quantileValues", valueAtQuantile, many},
		7: {"attributes", keyValue, many}, 8: {"flags", uint32s, plain},
	},
	valueAtQuantile: {1: {"quantile", doubles, plain}, 2: {"value", doubles, plain}},
	exemplar: {
		2: {"timeUnixNano", fixed64s, plain}, 3: {"asDouble", doubles, either}, 4: {"spanId", id, plain}, 5: {"traceId", id, plain},
		6: {"asInt", sfixed64s, either}, 7: {"filteredAttributes", keyValue, many},
	},
}
