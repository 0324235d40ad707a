package otelsetup_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup"
)

// TestErrorsOfEachKindArePrintedAtOnce: an error does not wait a minute because another
// one came before, and one that comes again and again is one line.
func TestErrorsOfEachKindArePrintedAtOnce(t *testing.T) {
	var printed bytes.Buffer
	start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
	for i := range 5 {
		otel.Handle(fmt.Errorf("read tcp 127.0.0.1:%d: connection reset", 40000+i))
		otel.Handle(errors.New("no such tenant"))
		for _, signal := range []delivery.Signal{delivery.Traces, delivery.Logs} {
			for _, reason := range []string{"400", "queue_full"} {
				otel.Handle(&delivery.DroppedError{Signal: signal, Items: int64(i), Reason: reason, Err: fmt.Errorf("%s: %d", reason, i)})
			}
			for _, server := range []string{"http://one", "http://two"} {
				for _, reason := range []string{"503", "timeout"} {
					otel.Handle(&delivery.RetryError{Signal: signal, URL: server + "/v1/" + signal.String(), Reason: reason, Err: errors.New("away: " + reason)})
				}
			}
		}
	}
	for text, want := range map[string]int{"connection reset": 1, "no such tenant": 1, "dropped: 400": 1, "dropped: queue_full": 1, "one/v1/traces, retrying: away: 503": 1, "two/v1/traces, retrying: away: timeout": 1, "logs cannot": 0} {
		if n := strings.Count(printed.String(), text); n != want {
			t.Errorf("%q is printed %d times; want %d, in\n%s", text, n, want, printed.String())
		}
	}
}

// TestKindsOfErrorsAreBounded: a text that is never the same does not fill the log.
func TestKindsOfErrorsAreBounded(t *testing.T) {
	var printed bytes.Buffer
	start(t, otelsetup.WithLogHandler(slog.NewTextHandler(&printed, nil)))
	for i := range 1000 {
		otel.Handle(errors.New("bad name " + strings.Repeat("a", i%32) + strings.Repeat("b", i/32)))
	}
	if n := strings.Count(printed.String(), "bad name"); n > 101 {
		t.Errorf("%d lines of 1,000 errors", n)
	}
}
