package otelsetup

import (
	"context"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestShutdownTakesOver: what is sent at the signal ends when the program does, whether
// run has returned or had to be left, so that nobody waits twice for a collector.
func TestShutdownTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, release, calls := make(chan struct{}), make(chan struct{}), 0
		p := &program{returned: make(chan struct{}), stopping: make(chan struct{}), flushed: make(chan struct{})}
		p.telemetry = &Telemetry{diagnostics: &diagnostics{}, parts: &parts{lives: []life{{
			name: "traces",
			flush: func(context.Context) error {
				if calls++; calls == 1 {
					close(begun)
					<-release
				}
				return nil
			},
			end: func(context.Context) error { return nil },
		}}}}
		p.received.Store(int32(syscall.SIGTERM))
		go p.flush()
		<-begun
		start := time.Now()
		p.shutdown()
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
		close(release)
		synctest.Wait()
	})
}
