package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/jaeger"
	"github.com/clewtrace/clew/e2e/internal/process"
)

func TestDoctorReadsItsSpanBackFromJaeger(t *testing.T) {
	store := jaeger.Start(t, jaeger.Config{})
	clew := process.Build(t, "..", "./cmd/clew")
	env := []string{exportTo(store.OTLP), "OTEL_SERVICE_NAME=shop"}
	args := []string{"doctor", "-jaeger", store.Query}

	traces := process.Start(t, clew, args, append(env, "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none"))
	if code := traces.Wait(t, time.Minute); code != 0 || !strings.Contains(traces.Stdout(), "the span is there, trace ") {
		t.Errorf("exit code %d\n%s", code, traces.Stdout())
	}
	if spans := store.WaitTrace(t, "shop", 1).SpanCount(); spans != 1 {
		t.Errorf("Jaeger has %d spans, want 1", spans)
	}

	// Jaeger takes traces only.
	all := process.Start(t, clew, args, env)
	if code := all.Wait(t, time.Minute); code != 1 || !strings.Contains(all.Stdout(), "or set OTEL_METRICS_EXPORTER=none if the receiver takes no metrics") {
		t.Errorf("exit code %d\n%s", code, all.Stdout())
	}
}
