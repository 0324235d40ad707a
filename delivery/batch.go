package delivery

import (
	"errors"
	"fmt"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Batch configures the batch processors of the SDK for an exporter whose requests a
// [Transport] takes. The zero value is recommended: a queue of 8,192 items, batches of
// up to 2,048 items, and a delay of 1 s at most. Spans that find the queue full wait
// instead of being dropped. They do not wait longer than the encoding of a batch takes,
// because a Transport answers at once.
type Batch struct {
	MaxQueueSize       int           // items; zero means 8192
	MaxExportBatchSize int           // items, at most MaxQueueSize; zero means 2048 or MaxQueueSize
	ScheduleDelay      time.Duration // zero means 1 s
	ExportTimeout      time.Duration // zero means 30 s
}

// What a zero means in [Batch].
const (
	DefaultMaxQueueSize       = 8192
	DefaultMaxExportBatchSize = 2048
	DefaultScheduleDelay      = time.Second
	DefaultExportTimeout      = 30 * time.Second
)

func (b Batch) withDefaults() (Batch, error) {
	var errs []error
	if b.MaxQueueSize == 0 {
		b.MaxQueueSize = DefaultMaxQueueSize
	}
	if b.MaxQueueSize < 1 {
		errs = append(errs, fmt.Errorf("delivery: Batch.MaxQueueSize is %d: must be positive", b.MaxQueueSize))
	}
	if b.MaxExportBatchSize == 0 {
		b.MaxExportBatchSize = min(DefaultMaxExportBatchSize, b.MaxQueueSize)
	}
	if b.MaxExportBatchSize < 1 || b.MaxExportBatchSize > b.MaxQueueSize {
		errs = append(errs, fmt.Errorf("delivery: Batch.MaxExportBatchSize is %d: must be between 1 and MaxQueueSize, %d", b.MaxExportBatchSize, b.MaxQueueSize))
	}
	if b.ScheduleDelay == 0 {
		b.ScheduleDelay = DefaultScheduleDelay
	}
	if b.ScheduleDelay < 0 {
		errs = append(errs, fmt.Errorf("delivery: Batch.ScheduleDelay is %v: must not be negative", b.ScheduleDelay))
	}
	if b.ExportTimeout == 0 {
		b.ExportTimeout = DefaultExportTimeout
	}
	if b.ExportTimeout < 0 {
		errs = append(errs, fmt.Errorf("delivery: Batch.ExportTimeout is %v: must not be negative", b.ExportTimeout))
	}
	return b, errors.Join(errs...)
}

// SpanOptions returns the options for sdktrace.NewBatchSpanProcessor or
// sdktrace.WithBatcher. They override OTEL_BSP_*, whose values the SDK does not
// validate.
func (b Batch) SpanOptions() ([]sdktrace.BatchSpanProcessorOption, error) {
	b, err := b.withDefaults()
	if err != nil {
		return nil, err
	}
	return []sdktrace.BatchSpanProcessorOption{
		sdktrace.WithBlocking(),
		sdktrace.WithMaxQueueSize(b.MaxQueueSize),
		sdktrace.WithMaxExportBatchSize(b.MaxExportBatchSize),
		sdktrace.WithBatchTimeout(b.ScheduleDelay),
		sdktrace.WithExportTimeout(b.ExportTimeout),
	}, nil
}

// LogOptions returns the options for sdklog.NewBatchProcessor. They override
// OTEL_BLRP_*. The log processor of the SDK cannot wait for room, so a program that
// logs faster than batches can be encoded still loses the oldest records.
func (b Batch) LogOptions() ([]sdklog.BatchProcessorOption, error) {
	b, err := b.withDefaults()
	if err != nil {
		return nil, err
	}
	return []sdklog.BatchProcessorOption{
		sdklog.WithMaxQueueSize(b.MaxQueueSize),
		sdklog.WithExportMaxBatchSize(b.MaxExportBatchSize),
		sdklog.WithExportInterval(b.ScheduleDelay),
		sdklog.WithExportTimeout(b.ExportTimeout),
	}, nil
}
