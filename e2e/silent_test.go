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
	program := process.Build(t, ".", "./internal/victim")
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		store := new(otlpreceiver.Store)
		collector := httptest.NewUnstartedServer(store.Handler())
		collector.EnableHTTP2 = true
		collector.StartTLS()
		t.Cleanup(collector.Close)
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: collector.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		loseConnection(t, program, store, collector.Listener.Addr().String(), "https", "OTEL_EXPORTER_OTLP_CERTIFICATE="+ca)
	})
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		collector := startRestartable(t, "grpc")
		loseConnection(t, program, &collector.store, collector.addr, "http", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	})
}

// loseConnection puts a balancer between the program and its collector, which
// keeps what it takes in a store.
func loseConnection(t *testing.T, program string, store *otlpreceiver.Store, collector, scheme string, env ...string) {
	t.Helper()
	between, err := balancer.New(collector)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(between.Close)
	server, addr := startVictim(t, program, append(env, exportTo(scheme+"://"+between.Addr()),
		"OTEL_BSP_SCHEDULE_DELAY=100", "OTEL_EXPORTER_OTLP_TIMEOUT=60000")...) // so that a timeout does not help
	requests := 0
	arrive := func(limit time.Duration) {
		t.Helper()
		if requests++; get(t, "http://"+addr) != http.StatusOK {
			t.Error("no answer from the server")
		}
		process.Eventually(t, limit, func() error {
			if arrived := distinct(store); arrived < requests {
				return fmt.Errorf("%d of %d spans have arrived", arrived, requests)
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

// distinct returns the number of spans in a store, where each counts once.
func distinct(store *otlpreceiver.Store) int {
	spans := make(map[string]bool)
	for _, s := range store.Spans() {
		spans[string(s.GetSpanId())] = true
	}
	return len(spans)
}
