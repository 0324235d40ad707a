package sdkbatch

import (
	"context"
	"errors"
	"sync/atomic"

	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/clewtrace/clew/delivery"
)

// counted compares the records that the SDK's batch processor is given with those
// that the exporter behind it gets. The processor drops the oldest when its queue
// is full, and keeps no count of them.
type counted struct{ given, exported atomic.Int64 }

// countedProcessor is the batch processor, and says at its end how many records
// were dropped.
type countedProcessor struct {
	sdklog.Processor
	counts *counted
}

func (p countedProcessor) OnEmit(ctx context.Context, r *sdklog.Record) error {
	p.counts.given.Add(1)
	return p.Processor.OnEmit(ctx, r)
}

func (p countedProcessor) Shutdown(ctx context.Context) error {
	err := p.Processor.Shutdown(ctx)
	if lost := p.counts.given.Load() - p.counts.exported.Load(); lost > 0 {
		err = errors.Join(err, &delivery.DroppedError{Signal: delivery.Logs, Items: lost, Reason: "queue_full", Err: errNotExported})
	}
	return err
}

var errNotExported = errors.New("they were not given to the exporter, because the queue of the batch processor was full or its time was over")

// countedExporter is the exporter behind it.
type countedExporter struct {
	sdklog.Exporter
	counts *counted
}

func (e countedExporter) Export(ctx context.Context, records []sdklog.Record) error {
	e.counts.exported.Add(int64(len(records)))
	return e.Exporter.Export(ctx, records)
}
