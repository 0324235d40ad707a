package otelsetup_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
	"github.com/clewtrace/clew/otelsetup/extend"
)

// slow is an exporter of the program's own that waits before the first export.
type slow struct {
	sdklog.Exporter
	begun, release chan struct{}
	got            *int64
}

func (e slow) Export(ctx context.Context, records []sdklog.Record) error {
	if *e.got == 0 {
		close(e.begun)
		<-e.release
	}
	*e.got += int64(len(records))
	return e.Exporter.Export(ctx, records)
}

// TestRecordsDroppedBeforeAnExporterAreCounted: each record is given to the program's own
// exporter, or Shutdown says that it was dropped.
func TestRecordsDroppedBeforeAnExporterAreCounted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_LOGS_EXPORTER", "otlp")
	t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "10")
	t.Setenv("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1")
	var got int64
	e := slow{begun: make(chan struct{}), release: make(chan struct{}), got: &got}
	telemetry, err := otelsetup.Start(t.Context(), otelsetup.WithLogHandler(slog.DiscardHandler),
		otelsetup.Customize(extend.Customizers{LogExporter: func(next sdklog.Exporter) sdklog.Exporter {
			e.Exporter = next
			return e
		}}))
	if err != nil {
		t.Fatal(err)
	}
	slog.Error("first")
	<-e.begun
	for range 99 {
		slog.Error("another")
	}
	close(e.release)
	err = telemetry.Shutdown(t.Context())
	lost, ok := errors.AsType[*delivery.DroppedError](err)
	if !ok || lost.Signal != delivery.Logs || lost.Items < 80 || lost.Items+got != 100 {
		t.Errorf("%d of 100 records were given to the exporter, and Shutdown says %v", got, err)
	}
}
