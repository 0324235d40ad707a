package delivery_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/delivery"
)

// A real file system that is full takes root to mount.
func TestFullDiskLeavesMemory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("cannot mount a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	var h handled
	cfg := quick(&h)
	cfg.SpoolDir = dir
	tr := newTransport(t, cfg)
	var names []string
	for i := range 40 {
		big := fmt.Sprint(i, strings.Repeat(" ", 10<<10))
		names = append(names, big)
		post(t, tr, delivery.Traces, "http://"+addr, traceRequest(big))
	}
	back := restart(t, addr)
	flush(t, tr)
	if lost, twice := back.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	told := 0
	all := h.all(t, tr)
	for _, err := range all {
		if strings.Contains(err.Error(), "memory only") && strings.Contains(err.Error(), "no space") {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %v: want the fall back once, with its reason", all)
	}
}
