package otelsetup_test

import (
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	otelattribute "go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestValuesHaveALength exports a value that is far too long, with the limit that
// applies by default, without any, and with one of its own.
func TestValuesHaveALength(t *testing.T) {
	long := strings.Repeat("é", 20_000)
	for _, test := range []struct {
		limit string
		want  int // characters
	}{{"", 16_384}, {"-1", 20_000}, {"7", 7}} {
		t.Run(test.limit, func(t *testing.T) {
			t.Setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", test.limit)
			store, _, flush := start(t)
			ctx, span := otel.Tracer("test").Start(t.Context(), "work", trace.WithAttributes(otelattribute.String("long", long)))
			slog.InfoContext(ctx, "hello", "long", long)
			span.End()
			flush()
			for what, attributes := range map[string]string{
				"span":       otlpreceiver.Attribute(store.Spans()[0].GetAttributes(), "long").GetStringValue(),
				"log record": otlpreceiver.Attribute(store.Logs()[0].GetAttributes(), "long").GetStringValue(),
			} {
				if got := len([]rune(attributes)); got != test.want {
					t.Errorf("%s: %d characters, want %d", what, got, test.want)
				}
			}
		})
	}
}

// TestZeroIsNoLimit sets every timeout and delay to 0: all arrives, and nothing is
// reported.
func TestZeroIsNoLimit(t *testing.T) {
	for _, name := range []string{
		"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BLRP_EXPORT_TIMEOUT", "OTEL_METRIC_EXPORT_TIMEOUT",
		"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY", "CLEW_DELIVERY_REFUSED_TIMEOUT",
	} {
		t.Setenv(name, "0")
	}
	store, _, flush := start(t)
	ctx, span := otel.Tracer("test").Start(t.Context(), "work")
	slog.InfoContext(ctx, "hello")
	span.End()
	flush()
	if len(store.Spans()) != 1 || len(store.Logs()) != 1 || len(store.Metrics()) == 0 {
		t.Errorf("%d spans, %d log records and %d metrics arrived", len(store.Spans()), len(store.Logs()), len(store.Metrics()))
	}
}
