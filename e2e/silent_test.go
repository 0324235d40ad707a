package e2e_test

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/balancer"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// TestDeadConnectionIsReplacedIn15Seconds: a balancer forgets the connection of a
// program, which stays established and silent. What the program records from then on
// arrives over a new one.
func TestDeadConnectionIsReplacedIn15Seconds(t *testing.T) {
	store := new(otlpreceiver.Store)
	collector := httptest.NewUnstartedServer(store.Handler())
	collector.EnableHTTP2 = true
	collector.StartTLS()
	defer collector.Close()
	between, err := balancer.New(collector.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer between.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}

	server, url := buildExamples(t).startServer(t, exportTo("https://"+between.Addr()), "OTEL_EXPORTER_OTLP_CERTIFICATE="+ca,
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_TIMEOUT=60000") // so that a timeout does not help
	requests := 0
	arrive := func(limit time.Duration) {
		t.Helper()
		if requests++; get(t, url) != http.StatusOK {
			t.Error("no answer from the server")
		}
		process.Eventually(t, limit, func() error {
			traces := make(map[string]bool)
			for _, span := range store.Spans() {
				traces[string(span.GetTraceId())] = true
			}
			if len(traces) < requests {
				return fmt.Errorf("%d of %d traces have arrived", len(traces), requests)
			}
			return nil
		})
	}
	arrive(10 * time.Second)
	before := between.Made()
	between.Forget()
	start := time.Now()
	arrive(15 * time.Second)
	t.Logf("arrived %v after the connection died", time.Since(start).Round(100*time.Millisecond))
	if between.Made() == before {
		t.Error("the connection was not replaced")
	}
	terminate(t, server)
}
