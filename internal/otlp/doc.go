// Package otlp encodes what the SDK of OpenTelemetry records as the messages of the OpenTelemetry
// Protocol (opentelemetry-proto, opentelemetry/proto/{common,resource,trace,logs,metrics}/v1).
//
// Functions append to a buffer of the caller. They use neither reflection nor objects in between,
// and they allocate nothing if the buffer is large enough; what the accessors of the SDK and of
// package attribute allocate, which copy lists, remains. The protobuf runtime is not needed.
//
// What is encoded decodes to the message that the exporters of OpenTelemetry (otlptracehttp,
// otlploghttp, otlpmetrichttp) send. The tests compare both, and name each difference:
//
//   - A text that is not UTF-8 is repaired: U+FFFD takes the place of the invalid bytes. Protobuf
//     takes UTF-8 only, so those exporters lose the whole request.
//   - Values nested more than 16 levels deep are written as text from there on, in JSON. Decoders
//     bound the depth of a message, most often to 100, and refuse the request beyond it.
//   - The tracestate of a link is sent.
//   - An empty resource is no message, also for spans.
//   - A map has each key once, with its last value, and so has a log record, also if its provider
//     allows keys twice (sdklog.WithAllowKeyDuplication).
//   - A span or a log record can be bounded, see [AppendSpan].
package otlp
