package delivery

import (
	"context"
	"sync"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/otlp"
)

// SpanProcessor returns a processor that encodes each sampled span when it ends, and
// hands the encoded spans to the queue as b says. Register it with
// sdktrace.WithSpanProcessor. Its methods are safe for concurrent use.
//
// ForceFlush and Shutdown hand over what was collected and do not wait:
// [Transport.ForceFlush] and [Transport.Shutdown] deliver it. A span that ends after
// Shutdown is counted as dropped, with the reason "shutdown".
func (t *Transport) SpanProcessor(r Route, b Batch) sdktrace.SpanProcessor {
	return spanProcessor{t.started().newBatch(Traces, r, b)}
}

// LogProcessor is [Transport.SpanProcessor] for log records. Register it with
// sdklog.WithProcessor.
func (t *Transport) LogProcessor(r Route, b Batch) sdklog.Processor {
	return logProcessor{t.started().newBatch(Logs, r, b)}
}

type spanProcessor struct{ *batch }

func (p spanProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (p spanProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	item := getScratch()
	item.b = otlp.AppendSpan(item.b[:0], s, p.MaxBytes)
	p.add(p.known.get(s.Resource(), s.InstrumentationScope()), item.b)
	item.release()
}

type logProcessor struct{ *batch }

// Enabled reports true: which records are of interest is not the exporter's decision.
func (p logProcessor) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (p logProcessor) OnEmit(_ context.Context, r *sdklog.Record) error {
	item := getScratch()
	item.b = otlp.AppendLogRecord(item.b[:0], r, p.MaxBytes)
	p.add(p.known.get(r.Resource(), r.InstrumentationScope()), item.b)
	item.release()
	return nil
}

// ForceFlush is that of both processors.
func (b *batch) ForceFlush(context.Context) error {
	b.flush()
	return nil
}

// Shutdown is that of both processors.
func (b *batch) Shutdown(context.Context) error {
	b.close()
	return nil
}

// scratch is where an item is encoded before it is copied into a collection.
type scratch struct{ b []byte }

var scratches = sync.Pool{New: func() any { return &scratch{make([]byte, 0, 2<<10)} }}

// maxScratch bounds what is kept, so that one large item does not stay.
const maxScratch = 64 << 10

func getScratch() *scratch {
	s, _ := scratches.Get().(*scratch)
	return s
}

func (s *scratch) release() {
	if cap(s.b) <= maxScratch {
		scratches.Put(s)
	}
}
