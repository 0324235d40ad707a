package delivery_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/clewtrace/clew/delivery"
)

// spoolFault takes the directory of a spool away while it is used, and gives it
// back.
type spoolFault struct {
	reason  string // what the error handler is told of
	prepare func(dir string) error
	spoil   func(dir string) error
	mend    func(dir string) error
	as      func(t *testing.T, do func()) // runs what writes to the spool
	fill    bool                          // the open segment first, which could be written to all the same
	keeps   bool                          // what was in the spool before is there again
}

func spoolFaults() map[string]spoolFault {
	filler := func(dir string) string { return filepath.Join(dir, "filler") }
	nothing := func(string) error { return nil }
	asIs := func(_ *testing.T, do func()) { do() }
	return map[string]spoolFault{
		"disk full": {
			reason:  "no space",
			prepare: func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m") },
			spoil: func(dir string) error {
				if err := os.WriteFile(filler(dir), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
					return fmt.Errorf("the disk is not full: %w", err)
				}
				return nil
			},
			mend:  func(dir string) error { return os.Remove(filler(dir)) },
			as:    asIs,
			keeps: true,
		},
		"directory removed and in the way": {
			reason:  "not a directory",
			prepare: nothing,
			spoil: func(dir string) error {
				return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600))
			},
			mend: os.Remove,
			as:   asIs,
		},
		"file system read-only": {
			reason:  "read-only file system",
			prepare: nothing,
			spoil:   func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, "") },
			mend:    func(dir string) error { return syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "") },
			as:      asIs,
		},
		"directory read-only": {
			reason:  "permission denied",
			prepare: nothing,
			spoil:   func(dir string) error { return os.Chmod(dir, 0o500) }, //nolint:gosec // a directory
			mend:    func(dir string) error { return os.Chmod(dir, 0o700) }, //nolint:gosec // a directory
			as:      asOthers,
			fill:    true,
			keeps:   true,
		},
	}
}

func TestSpoolIsUsedAgainWhenItIsBack(t *testing.T) {
	for name, f := range spoolFaults() {
		t.Run(name, func(t *testing.T) {
			s := newStoppedSink(t)
			addr := s.Listener.Addr().String()
			_ = s.Listener.Close()
			dir := filepath.Join(t.TempDir(), "spool")
			must(t, os.Mkdir(dir, 0o700))
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			must(t, f.prepare(dir))
			var h handled
			cfg := quick(&h)
			cfg.SpoolDir = dir
			var tr *delivery.Transport
			var names []string
			send := func(n int) {
				f.as(t, func() { names = append(names, postSpans(t, tr, "http://"+addr, len(names), n)...) })
			}
			f.as(t, func() { tr = newTransport(t, cfg) })
			send(100)
			if f.fill {
				f.as(t, func() { post(t, tr, delivery.Traces, "http://"+addr, traceRequest(strings.Repeat("big ", 5<<18))) })
			}
			before := inSpool(t, dir)
			must(t, f.spoil(dir))
			for i := range 3 { // larger than what a full disk has left of the last block
				name := fmt.Sprint(i, strings.Repeat(" ", 8<<10))
				f.as(t, func() { post(t, tr, delivery.Traces, "http://"+addr, traceRequest(name)) })
				names = append(names, name)
			}
			must(t, f.mend(dir))
			send(1)
			want := int64(1)
			if f.keeps {
				want += before
			}
			if got := inSpool(t, dir); got != want {
				t.Errorf("%d spans in the spool when it is back: want %d", got, want)
			}
			back := restart(t, addr)
			flush(t, tr)
			if lost, twice := back.lost(names); lost+twice != 0 {
				t.Errorf("%d lost, %d duplicates", lost, twice)
			}
			told := 0
			all := h.all(t, tr)
			for _, err := range all {
				if strings.Contains(err.Error(), "memory only") && strings.Contains(err.Error(), f.reason) {
					told++
				}
			}
			if told != 1 {
				t.Errorf("told %v: want the fall back once, with its reason", all)
			}
		})
	}
}

// inSpool returns how many spans the next process would find.
func inSpool(t *testing.T, dir string) int64 {
	t.Helper()
	return newTransport(t, spooled(killed(t, dir))).Stats(delivery.Traces).Queued
}

// asOthers runs do without the right of root to write where modes forbid it.
// Only a thread is changed, and it ends with its goroutine.
func asOthers(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if err := dropOverride(); err != nil {
			t.Error(err)
			return
		}
		do()
	}()
	<-done
	if t.Failed() {
		t.FailNow()
	}
}

// dropOverride takes CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH from this thread,
// as capabilities(7) and capset(2) describe.
func dropOverride() error {
	const version3, override, readSearch = 0x20080522, 1 << 1, 1 << 2
	head := struct{ version, pid uint32 }{version: version3}
	var sets [2]struct{ effective, permitted, inheritable uint32 }
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return errno
	}
	sets[0].effective &^= override | readSearch
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return errno
	}
	return nil
}
