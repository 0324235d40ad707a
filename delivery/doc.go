// Package delivery delivers OTLP requests in spite of restarts, overload and slow
// answers of their server, without holding up the program that they describe.
//
// A [Transport] is an http.RoundTripper below the OTLP/HTTP exporters. It puts each
// encoded request of an exporter into a bounded queue and answers the exporter at once.
// It then delivers the requests in the background, the oldest first, and repeats each
// one until the server answers with a 2xx status. The exporters and their encoders stay
// as they are.
//
//	t, err := delivery.New(delivery.Config{})
//	...
//	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(t.Client(delivery.Traces)))
//	...
//	defer t.Shutdown(ctx) // after Shutdown of the provider
//
// # What is repeated
//
// A request is repeated if it got no answer, or one of the statuses 429, 502, 503 and
// 504, or a 2xx that no OTLP server gives, such as the web page of a captive portal. An
// empty answer, protobuf, JSON without an error, and a few words of text count as taken.
// After a failure nothing is sent to that URL for a while. The pause doubles with
// each failure up to [Config.MaxBackoff], or lasts as long as Retry-After says, up to
// ten minutes. Then one request is sent as a probe, and the others follow when it
// succeeds. All other statuses are final.
//
// A request of several items that is refused with 400 or 413 is divided, unless it is
// JSON, until the item that the server does not take stands alone. That one is dropped
// and named, and the others arrive. A server that takes no item at all costs up to 65
// requests in a minute for finding that out; other requests that it refuses in that
// minute are dropped undivided.
//
// A server that stops between taking a request and answering it gets that request
// twice: delivery is at least once.
//
// # What is lost
//
// Nothing is lost while the queue has room. When it is full, the oldest request is
// dropped. Every loss is counted in [Transport.Stats] and, with an error.type, in the
// metric otel.sdk.exporter.span.exported (and its siblings). [Config.ErrorHandler] is
// called for the first loss at once and then at most once a minute.
//
// The queue is in memory. Without a spool, what a process has not delivered when it is
// killed is lost.
//
// # Spool and journal
//
// With [Config.SpoolDir], every request is also kept on disk until it is delivered or
// dropped, and the next process takes over what is left. Spans that the batch processor
// still collects are in no request yet, so kill -9 loses them: one batch at most.
//
// A journal does not lose those either. Export each span as it ends, and let the
// Transport join the requests again.
//
//	t, err := delivery.New(delivery.Config{SpoolDir: dir, Linger: time.Second})
//	...
//	sdktrace.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(exporter))
//
// A journal costs an encoding and a write to the page cache on the goroutine that ends
// the span. Each span then waits uncompressed and with its own copy of the resource, so
// an outage fills [Config.QueueSize] about ten times as fast.
//
// The spool may become unusable: the disk is full, or the directory is gone or
// read-only. Requests are then in memory only, the error handler is called, and each
// further request tries to write to the spool again.
package delivery
