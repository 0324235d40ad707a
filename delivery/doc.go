// Package delivery gets OTLP requests to their server in spite of restarts,
// overload and slow answers, without holding up the program they tell about.
//
// A [Transport] is an http.RoundTripper under the OTLP/HTTP exporters. It
// takes the request that the exporter has encoded into a bounded queue, answers
// at once, and delivers in the background: the oldest first, repeated until the
// server says 2xx. The exporters and their encoders stay as they are.
//
//	t, err := delivery.New(delivery.Config{})
//	...
//	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithHTTPClient(t.Client(delivery.Traces)))
//	...
//	defer t.Shutdown(ctx) // after the provider's own
//
// # What is repeated
//
// Whatever got no answer, and 429, 502, 503 and 504. Between attempts a URL is
// left alone for a pause that doubles up to [Config.MaxBackoff], or for as long
// as Retry-After says, up to ten minutes; then one request probes, and the rest
// follows when it succeeds. Other answers are final. A request that is too
// large (413) is divided until its parts are taken, unless it is JSON.
//
// A server that dies between taking a request and answering it gets that
// request twice: delivery is at least once.
//
// # What is lost
//
// Nothing, while the queue has room. Then the oldest request goes. Every loss is
// counted in [Transport.Stats] and in the metric otel.sdk.exporter.span.exported
// (and its siblings) with an error.type, and told to [Config.ErrorHandler] at
// once and then no more than once a minute.
//
// The queue is in memory. What a process has not delivered when it is killed is
// gone, unless there is a spool.
//
// # Spool and journal
//
// With [Config.SpoolDir], every request is also on disk until it is delivered or
// dropped, and the next process takes it over. What is not in a request yet,
// because the batch processor still collects, is lost to kill -9: at most one
// batch.
//
// A journal loses not even that: export each span as it ends, and let the
// Transport put the requests together again.
//
//	t, err := delivery.New(delivery.Config{SpoolDir: dir, Linger: time.Second})
//	...
//	sdktrace.WithSpanProcessor(sdktrace.NewSimpleSpanProcessor(exporter))
//
// It costs an encoding and a write to the page cache on the goroutine that ends
// the span. As each span then waits uncompressed with its own copy of the
// resource, an outage fills [Config.QueueSize] about ten times as fast.
//
// When the spool cannot be written to, because the disk is full, the directory
// is gone or read-only, requests are in memory only, the error handler is told,
// and each further request tries again.
package delivery
