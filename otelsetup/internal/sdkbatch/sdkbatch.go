// Package sdkbatch has the SDK's processors, for exporters that get spans and log
// records as objects. What exports them as OTLP needs none, and the processors are
// 0.1 MB, so only a program that registers or wraps an exporter has them linked:
// what it calls to do so calls [Link].
package sdkbatch

import (
	"sync/atomic"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/internal/settings"
)

// Config is how a processor puts items together.
type Config struct {
	settings.Batch
	Each  bool // hands over each item when it ends, on its own
	Block bool // waits when the queue of spans is full
}

// Processors makes processors.
type Processors struct {
	Spans func(sdktrace.SpanExporter, Config) sdktrace.SpanProcessor
	Logs  func(sdklog.Exporter, Config) sdklog.Processor
}

var linked atomic.Pointer[Processors]

// Link has the processors linked into the program.
func Link() { linked.Store(&Processors{spans, logs}) }

// Linked returns nil if [Link] was not called: there is no exporter then that
// needs a processor.
func Linked() *Processors { return linked.Load() }

func spans(exporter sdktrace.SpanExporter, c Config) sdktrace.SpanProcessor {
	if c.Each {
		return sdktrace.NewSimpleSpanProcessor(exporter)
	}
	b := c.forSDK()
	opts := []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithMaxQueueSize(b.QueueSize), sdktrace.WithMaxExportBatchSize(b.Size),
		sdktrace.WithBatchTimeout(b.Delay), sdktrace.WithExportTimeout(b.ExportTimeout),
	}
	if c.Block {
		opts = append(opts, sdktrace.WithBlocking())
	}
	return sdktrace.NewBatchSpanProcessor(exporter, opts...)
}

func logs(exporter sdklog.Exporter, c Config) sdklog.Processor {
	if c.Each {
		return sdklog.NewSimpleProcessor(exporter)
	}
	b, counts := c.forSDK(), &counted{}
	return countedProcessor{counts: counts, Processor: sdklog.NewBatchProcessor(countedExporter{exporter, counts},
		sdklog.WithMaxQueueSize(b.QueueSize), sdklog.WithExportMaxBatchSize(b.Size),
		sdklog.WithExportInterval(b.Delay), sdklog.WithExportTimeout(b.ExportTimeout))}
}

// forSDK is how the SDK's processors put items together. They take no queue
// without a bound, no delay of zero and no timeout that never ends.
func (c Config) forSDK() settings.Batch {
	b := c.Batch
	if b.QueueSize == 0 {
		b.QueueSize = 4 * b.Size
	}
	b.ExportTimeout = Endless(b.ExportTimeout)
	b.Delay = max(b.Delay, time.Millisecond)
	return b
}

// Endless is a timeout for the SDK, where zero and less do not mean that there
// is none.
func Endless(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return 24 * time.Hour
	}
	return timeout
}
