package delivery_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/delivery"
)

// TestSpoolLossLeavesMemory spoils the directory of a running Transport whose
// collector is away: nothing is lost, and it is said once. File systems that are
// full or read-only take the right to mount them.
func TestSpoolLossLeavesMemory(t *testing.T) {
	for _, test := range []struct {
		name          string
		prepare, harm func(dir string) error
		told          string
		mounts        bool
	}{
		{
			name:    "the disk is full",
			prepare: func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k") },
			told:    "no space", mounts: true,
		},
		{
			name: "the directory turns read-only",
			harm: func(dir string) error {
				return errors.Join(syscall.Mount(dir, dir, "", syscall.MS_BIND, ""),
					syscall.Mount("", dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
			},
			told: "read-only file system", mounts: true,
		},
		{
			name: "the directory is removed, and a file has its name",
			harm: func(dir string) error {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
				return os.WriteFile(dir, nil, 0o600)
			},
			told: "not a directory",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "spool")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if test.prepare != nil {
				if err := test.prepare(dir); err != nil {
					t.Skipf("cannot mount a file system: %v", err)
				}
			}
			if test.mounts {
				t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			}
			checkMemoryOnly(t, dir, test.harm, test.told)
		})
	}
}

func checkMemoryOnly(t *testing.T, dir string, harm func(string) error, reason string) {
	t.Helper()
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	var h handled
	cfg := quick(&h)
	cfg.SpoolDir = dir
	tr := newTransport(t, cfg)
	if harm != nil {
		switch err := harm(dir); {
		case errors.Is(err, syscall.EPERM):
			t.Skipf("cannot mount a file system: %v", err)
		case err != nil:
			t.Fatal(err)
		}
	}
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
		if strings.Contains(err.Error(), "memory only") && strings.Contains(err.Error(), reason) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("told %v: want the fall back once, with its reason", all)
	}
}

// A directory that is only removed is made again: the next process finds what
// was exported since.
func TestRemovedSpoolIsMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := newStoppedSink(t)
	addr := s.Listener.Addr().String()
	_ = s.Listener.Close()
	cfg := quick(new(handled))
	cfg.SpoolDir = dir
	tr := newTransport(t, cfg)
	postSpans(t, tr, "http://"+addr, 0, 3)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	names := postSpans(t, tr, "http://"+addr, 3, 3)
	crash(t, dir, names)
}

// crash reads a spool as the process after a kill would, from a copy, as its
// owner still runs.
func crash(t *testing.T, dir string, want []string) {
	t.Helper()
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	back := newSink(t)
	cfg := quick(new(handled))
	cfg.SpoolDir = left
	tr := newTransport(t, cfg)
	tr.ClientVia(delivery.Traces, delivery.Route{URL: back.URL + "/v1/traces"})
	flush(t, tr)
	if lost, twice := back.lost(want); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
}
