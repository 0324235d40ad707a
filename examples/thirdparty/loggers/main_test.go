package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/clewtrace/clew/examples/internal/exampletest"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

func TestMain(m *testing.M) { exampletest.Main(m, main) }

// TestLoggers runs the program with each logger, and compares what it prints and
// what it exports with the span that it recorded.
func TestLoggers(t *testing.T) {
	for _, logger := range []string{"logrus", "zap", "zerolog"} {
		t.Run(logger, func(t *testing.T) {
			c := exampletest.NewCollector(t)
			p := c.Start(t, exampletest.Path(t), "shop", "-logger", logger)
			p.Wait(t, 0)
			span := c.Find(t, "shop", "order")
			traceID, spanID := hex.EncodeToString(span.GetTraceId()), hex.EncodeToString(span.GetSpanId())

			for _, message := range []string{"starting", "ordering", "not ordered"} {
				lines := p.LogLines(message)
				if len(lines) != 1 {
					t.Fatalf("%d lines %q are printed, want 1", len(lines), message)
				}
				inSpan := strings.Contains(lines[0], traceID) && strings.Contains(lines[0], spanID) &&
					strings.Contains(lines[0], "trace_id") && strings.Contains(lines[0], "span_id")
				if inSpan != (message != "starting") || strings.Contains(lines[0], "context") {
					t.Errorf("printed: %s, want the ids of the span in the lines of the order alone", lines[0])
				}
			}
			want := []string{
				"SEVERITY_NUMBER_INFO starting",
				"SEVERITY_NUMBER_INFO ordering order=7 in " + traceID + " " + spanID + " 3",
				"SEVERITY_NUMBER_ERROR not ordered exception.message=sold out in " + traceID + " " + spanID + " 3",
			}
			if got := exported(c.Logs()); !slices.Equal(got, want) {
				t.Errorf("exported:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// exported is a line for each record: severity, body, attributes, and the ids and
// flags (3 is sampled and random) of its span. The type of an error is left out,
// because zerolog does not tell it.
func exported(records []otlpreceiver.Log) (lines []string) {
	for _, r := range records {
		line := fmt.Sprintf("%s %s", r.GetSeverityNumber(), r.GetBody().GetStringValue())
		for _, a := range r.GetAttributes() {
			if a.GetKey() != "exception.type" {
				line += " " + a.GetKey() + "=" + text(a.GetValue())
			}
		}
		if len(r.GetTraceId()) > 0 {
			line += fmt.Sprintf(" in %x %x %d", r.GetTraceId(), r.GetSpanId(), r.GetFlags()&0xff)
		}
		lines = append(lines, line)
	}
	return lines
}

func text(v *commonpb.AnyValue) string {
	if i, ok := v.GetValue().(*commonpb.AnyValue_IntValue); ok {
		return fmt.Sprint(i.IntValue)
	}
	return v.GetStringValue()
}
