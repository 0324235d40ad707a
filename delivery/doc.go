// Package delivery delivers telemetry to an OTLP server in spite of restarts, overload
// and slow answers of that server, without holding up the program that is observed.
//
// A [Transport] makes a processor for spans, one for log records, and an exporter for
// metrics. A span or a log record is encoded when it ends, into the batch of its
// processor. A batch becomes an export request in a bounded queue that all signals share.
// The queue is delivered in the background, the oldest request first, and each request
// is repeated until the server has taken it.
//
//	t, err := delivery.New(delivery.Config{})
//	...
//	spans := t.SpanProcessor(delivery.Route{}, delivery.Batch{})
//	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
//	records := t.LogProcessor(delivery.Route{}, delivery.Batch{})
//	loggers := sdklog.NewLoggerProvider(sdklog.WithProcessor(records))
//	points := sdkmetric.NewPeriodicReader(t.MetricExporter(delivery.Route{}, nil, nil))
//	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(points))
//	t.Observe(meters)
//	...
//	err = errors.Join(tracers.Shutdown(ctx), loggers.Shutdown(ctx), meters.Shutdown(ctx), t.Shutdown(ctx))
//
// [Transport.SpanExporter] and [Transport.LogExporter] use the same encoder, for programs
// that wrap an exporter. [Transport.Client] is an HTTP client under the exporters of
// OpenTelemetry, whose requests go into the same queue.
//
// A [Route] says where the requests of each go: over HTTP by default, as protobuf or
// JSON, or in the way of a [Sender]. That of package otelsetup/otlpgrpc sends over gRPC.
//
// # Batches
//
// A processor keeps no spans and no records, only their encoded form, in one buffer that
// it uses again. It hands over its batch at [Batch].MaxItems, at [Batch].MaxBytes, or when
// [Batch].Delay has passed since the first item, whichever comes first. A request holds
// each resource and each scope once. A span or record that alone is longer than MaxBytes
// is cut: its longest strings first, and it gets the attribute clew.truncated.
//
// The variables of the specification map to these fields: OTEL_BSP_MAX_EXPORT_BATCH_SIZE
// to MaxItems, OTEL_BSP_SCHEDULE_DELAY to Delay, OTEL_BSP_MAX_QUEUE_SIZE to MaxQueueItems,
// and the same for OTEL_BLRP. The queue itself is bounded in bytes, because its items are
// encoded and may be compressed. A batch is handed over without a wait, so
// OTEL_BSP_EXPORT_TIMEOUT can only bound an attempt: [Route].Timeout.
//
// # What is repeated
//
// A request is repeated if it got no answer, or one of the statuses 429, 502, 503 and
// 504, or a 2xx that no OTLP server gives, such as the web page of a captive portal. An
// empty answer, protobuf, JSON without an error, and a few words of text count as taken.
// After a failure nothing is sent to that URL for a while. The pause doubles with
// each failure up to [Config].MaxBackoff, or lasts as long as Retry-After says, up to
// ten minutes. Then one request is sent as a probe, and the others follow when it
// succeeds. All other statuses are final.
//
// A Sender says by a [SendError] what its answers mean; any other error is an
// unreachable server.
//
// A request of several items that is refused with 400 or 413, or by a SendError with
// Divide, is divided until the item that the server does not take stands alone. That one
// is dropped and named, and the others arrive. Only what another exporter has made as
// JSON cannot be divided. A server that takes no item at all costs up to 65
// requests in a minute for finding that out; other requests that it refuses in that
// minute are dropped undivided.
//
// A server that stops between taking a request and answering it gets that request
// twice: delivery is at least once.
//
// # What is lost
//
// Nothing is lost while the queue has room. When it is full, the oldest request is
// dropped. [Transport.Stats] counts for each signal what was accepted, and each accepted
// item is queued, delivered, dropped or kept, never two of these. What a processor has
// collected counts as queued, and what an earlier process left in the spool as accepted.
// [Config].ErrorHandler is called for the first loss at once and then at most once a
// minute, for each reason. With [Transport.Observe], every loss is also counted, with an
// error.type, in the metric otel.sdk.exporter.span.exported (and its siblings).
//
// [Transport.Shutdown] tries until the deadline of its context, and returns an
// [UndeliveredError] for each signal that lost something. Where the connection is
// refused, it gives up after [Config].RefusedTimeout, because nothing listens there.
//
// The queue is in memory. Without a spool, what a process has not delivered when it is
// killed is lost.
//
// # Spool and journal
//
// With [Config].SpoolDir, every request is also kept on disk until it is delivered or
// dropped, and the next process takes over what is left. What a processor still collects
// is in no request yet, so kill -9 loses it: at most the batch of one [Batch].Delay, and
// the request that is being written to disk.
//
// A journal ([Config].Journal) does not lose that either. Each span is in the spool when
// its End returns, and each record when its Emit does. That costs a write to the page
// cache on the goroutine that ends the span. Each span then waits uncompressed and with
// its own copy of the resource, so an outage fills [Config].QueueSize about ten times as
// fast. Requests linger for a second, to be sent together.
//
// The spool may become unusable: the disk is full, or the directory is gone or
// read-only. Requests are then in memory only, the error handler is called, and each
// further request tries to write to the spool again.
package delivery
