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

// fieldType is the type of a field: one of these, or one of the messages below.
type fieldType uint8

const (
	typeString fieldType = iota + 1 // string
	typeBytes                       // bytes
	typeID                          // bytes: a trace or span id
	typeBool                        // bool
	typeInt32                       // int32 and enum
	typeInt64                       // int64
	typeUint32                      // uint32
	typeUint64                      // uint64
	typeSint32                      // sint32
	typeFixed32
	typeFixed64
	typeSfixed64
	typeDouble

	typeTraceRequest
	typeMetricsRequest
	typeLogsRequest
	typeResourceSpans
	typeResourceMetrics
	typeResourceLogs
	typeScopeSpans
	typeScopeMetrics
	typeScopeLogs
	typeResource
	typeEntityRef
	typeScope
	typeKeyValue
	typeAnyValue
	typeArrayValue
	typeKeyValueList
	typeSpan
	typeSpanEvent
	typeSpanLink
	typeSpanStatus
	typeLogRecord
	typeMetric
	typeGauge
	typeSum
	typeHistogram
	typeExponentialHistogram
	typeSummary
	typeNumberDataPoint
	typeHistogramDataPoint
	typeExponentialHistogramDataPoint
	typeBuckets
	typeSummaryDataPoint
	typeValueAtQuantile
	typeExemplar
	numTypes
)

// fieldLabel says how often a field is there.
type fieldLabel uint8

const (
	plain    fieldLabel = iota // once; not being there means the zero value
	many                       // repeated
	optional                   // at most once
	either                     // at most once, and then none of the other fields with this label
)

// schemaField describes a field of a message.
type schemaField struct {
	name  string // in JSON
	typ   fieldType
	label fieldLabel
}

// maxField is the greatest number of a field.
const maxField = 16

// schema has the fields of each message, at their numbers. It is the state of
// go.opentelemetry.io/proto/otlp, which the tests compare it with.
var schema = [numTypes][]schemaField{
	typeTraceRequest:   {1: {"resourceSpans", typeResourceSpans, many}},
	typeMetricsRequest: {1: {"resourceMetrics", typeResourceMetrics, many}},
	typeLogsRequest:    {1: {"resourceLogs", typeResourceLogs, many}},

	typeResourceSpans:   {1: {"resource", typeResource, plain}, 2: {"scopeSpans", typeScopeSpans, many}, 3: {"schemaUrl", typeString, plain}},
	typeResourceMetrics: {1: {"resource", typeResource, plain}, 2: {"scopeMetrics", typeScopeMetrics, many}, 3: {"schemaUrl", typeString, plain}},
	typeResourceLogs:    {1: {"resource", typeResource, plain}, 2: {"scopeLogs", typeScopeLogs, many}, 3: {"schemaUrl", typeString, plain}},
	typeScopeSpans:      {1: {"scope", typeScope, plain}, 2: {"spans", typeSpan, many}, 3: {"schemaUrl", typeString, plain}},
	typeScopeMetrics:    {1: {"scope", typeScope, plain}, 2: {"metrics", typeMetric, many}, 3: {"schemaUrl", typeString, plain}},
	typeScopeLogs:       {1: {"scope", typeScope, plain}, 2: {"logRecords", typeLogRecord, many}, 3: {"schemaUrl", typeString, plain}},

	typeResource:  {1: {"attributes", typeKeyValue, many}, 2: {"droppedAttributesCount", typeUint32, plain}, 3: {"entityRefs", typeEntityRef, many}},
	typeEntityRef: {1: {"schemaUrl", typeString, plain}, 2: {"type", typeString, plain}, 3: {"idKeys", typeString, many}, 4: {"descriptionKeys", typeString, many}},
	typeScope: {
		1: {"name", typeString, plain}, 2: {"version", typeString, plain}, 3: {"attributes", typeKeyValue, many},
		4: {"droppedAttributesCount", typeUint32, plain},
	},
	typeKeyValue: {1: {"key", typeString, plain}, 2: {"value", typeAnyValue, plain}, 3: {"keyStrindex", typeInt32, plain}},
	typeAnyValue: {
		1: {"stringValue", typeString, either}, 2: {"boolValue", typeBool, either}, 3: {"intValue", typeInt64, either},
		4: {"doubleValue", typeDouble, either}, 5: {"arrayValue", typeArrayValue, either}, 6: {"kvlistValue", typeKeyValueList, either},
		7: {"bytesValue", typeBytes, either}, 8: {"stringValueStrindex", typeInt32, either},
	},
	typeArrayValue:   {1: {"values", typeAnyValue, many}},
	typeKeyValueList: {1: {"values", typeKeyValue, many}},

	typeSpan: {
		1: {"traceId", typeID, plain}, 2: {"spanId", typeID, plain}, 3: {"traceState", typeString, plain}, 4: {"parentSpanId", typeID, plain},
		5: {"name", typeString, plain}, 6: {"kind", typeInt32, plain}, 7: {"startTimeUnixNano", typeFixed64, plain}, 8: {"endTimeUnixNano", typeFixed64, plain},
		9: {"attributes", typeKeyValue, many}, 10: {"droppedAttributesCount", typeUint32, plain},
		11: {"events", typeSpanEvent, many}, 12: {"droppedEventsCount", typeUint32, plain},
		13: {"links", typeSpanLink, many}, 14: {"droppedLinksCount", typeUint32, plain},
		15: {"status", typeSpanStatus, plain}, 16: {"flags", typeFixed32, plain},
	},
	typeSpanEvent: {
		1: {"timeUnixNano", typeFixed64, plain}, 2: {"name", typeString, plain}, 3: {"attributes", typeKeyValue, many},
		4: {"droppedAttributesCount", typeUint32, plain},
	},
	typeSpanLink: {
		1: {"traceId", typeID, plain}, 2: {"spanId", typeID, plain}, 3: {"traceState", typeString, plain}, 4: {"attributes", typeKeyValue, many},
		5: {"droppedAttributesCount", typeUint32, plain}, 6: {"flags", typeFixed32, plain},
	},
	typeSpanStatus: {2: {"message", typeString, plain}, 3: {"code", typeInt32, plain}},

	typeLogRecord: {
		1: {"timeUnixNano", typeFixed64, plain}, 2: {"severityNumber", typeInt32, plain}, 3: {"severityText", typeString, plain},
		5: {"body", typeAnyValue, plain}, 6: {"attributes", typeKeyValue, many}, 7: {"droppedAttributesCount", typeUint32, plain},
		8: {"flags", typeFixed32, plain}, 9: {"traceId", typeID, plain}, 10: {"spanId", typeID, plain},
		11: {"observedTimeUnixNano", typeFixed64, plain}, 12: {"eventName", typeString, plain},
	},

	typeMetric: {
		1: {"name", typeString, plain}, 2: {"description", typeString, plain}, 3: {"unit", typeString, plain},
		5: {"gauge", typeGauge, either}, 7: {"sum", typeSum, either}, 9: {"histogram", typeHistogram, either},
		10: {"exponentialHistogram", typeExponentialHistogram, either}, 11: {"summary", typeSummary, either},
		12: {"metadata", typeKeyValue, many},
	},
	typeGauge:                {1: {"dataPoints", typeNumberDataPoint, many}},
	typeSum:                  {1: {"dataPoints", typeNumberDataPoint, many}, 2: {"aggregationTemporality", typeInt32, plain}, 3: {"isMonotonic", typeBool, plain}},
	typeHistogram:            {1: {"dataPoints", typeHistogramDataPoint, many}, 2: {"aggregationTemporality", typeInt32, plain}},
	typeExponentialHistogram: {1: {"dataPoints", typeExponentialHistogramDataPoint, many}, 2: {"aggregationTemporality", typeInt32, plain}},
	typeSummary:              {1: {"dataPoints", typeSummaryDataPoint, many}},
	typeNumberDataPoint: {
		2: {"startTimeUnixNano", typeFixed64, plain}, 3: {"timeUnixNano", typeFixed64, plain},
		4: {"asDouble", typeDouble, either}, 5: {"exemplars", typeExemplar, many}, 6: {"asInt", typeSfixed64, either},
		7: {"attributes", typeKeyValue, many}, 8: {"flags", typeUint32, plain},
	},
	typeHistogramDataPoint: {
		2: {"startTimeUnixNano", typeFixed64, plain}, 3: {"timeUnixNano", typeFixed64, plain},
		4: {"count", typeFixed64, plain}, 5: {"sum", typeDouble, optional}, 6: {"bucketCounts", typeFixed64, many}, 7: {"explicitBounds", typeDouble, many},
		8: {"exemplars", typeExemplar, many}, 9: {"attributes", typeKeyValue, many}, 10: {"flags", typeUint32, plain},
		11: {"min", typeDouble, optional}, 12: {"max", typeDouble, optional},
	},
	typeExponentialHistogramDataPoint: {
		1: {"attributes", typeKeyValue, many}, 2: {"startTimeUnixNano", typeFixed64, plain}, 3: {"timeUnixNano", typeFixed64, plain},
		4: {"count", typeFixed64, plain}, 5: {"sum", typeDouble, optional}, 6: {"scale", typeSint32, plain}, 7: {"zeroCount", typeFixed64, plain},
		8: {"positive", typeBuckets, plain}, 9: {"negative", typeBuckets, plain}, 10: {"flags", typeUint32, plain}, 11: {"exemplars", typeExemplar, many},
		12: {"min", typeDouble, optional}, 13: {"max", typeDouble, optional}, 14: {"zeroThreshold", typeDouble, plain},
	},
	typeBuckets: {1: {"offset", typeSint32, plain}, 2: {"bucketCounts", typeUint64, many}},
	typeSummaryDataPoint: {
		2: {"startTimeUnixNano", typeFixed64, plain}, 3: {"timeUnixNano", typeFixed64, plain},
		4: {"count", typeFixed64, plain}, 5: {"sum", typeDouble, plain}, 6: {"quantileValues", typeValueAtQuantile, many},
		7: {"attributes", typeKeyValue, many}, 8: {"flags", typeUint32, plain},
	},
	typeValueAtQuantile: {1: {"quantile", typeDouble, plain}, 2: {"value", typeDouble, plain}},
	typeExemplar: {
		2: {"timeUnixNano", typeFixed64, plain}, 3: {"asDouble", typeDouble, either}, 4: {"spanId", typeID, plain}, 5: {"traceId", typeID, plain},
		6: {"asInt", typeSfixed64, either}, 7: {"filteredAttributes", typeKeyValue, many},
	},
}
