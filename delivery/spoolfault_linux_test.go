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

	"github.com/clewtrace/clew/delivery"
)

// spoolFault takes the directory of a spool away while it is used, and gives it
// back.
type spoolFault struct {
	reason  string // what the error handler is told of
	prepare func(t *testing.T, dir string)
	spoil   func(t *testing.T, dir string)
	mend    func(t *testing.T, dir string)
	as      func(t *testing.T, do func()) // runs what writes to the spool; nil: as it is
	fill    bool                          // the open segment first, which could be written to all the same
	keeps   bool                          // what was in the spool before is there again
}

func spoolFaults() map[string]spoolFault {
	filler := func(dir string) string { return filepath.Join(dir, "filler") }
	return map[string]spoolFault{
		"disk full": {
			reason:  "no space",
			prepare: func(t *testing.T, dir string) { mount(t, dir, 0, "size=1m") },
			spoil: func(t *testing.T, dir string) {
				if err := os.WriteFile(filler(dir), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("the disk is not full: %v", err)
				}
			},
			mend:  func(t *testing.T, dir string) { must(t, os.Remove(filler(dir))) },
			keeps: true,
		},
		"directory removed and in the way": {
			reason: "not a directory",
			spoil: func(t *testing.T, dir string) {
				must(t, os.RemoveAll(dir))
				must(t, os.WriteFile(dir, nil, 0o600))
			},
			mend: func(t *testing.T, dir string) { must(t, os.Remove(dir)) },
		},
		"file system read-only": {
			reason: "read-only file system",
			spoil:  func(t *testing.T, dir string) { mount(t, dir, syscall.MS_RDONLY, "") },
			mend: func(t *testing.T, dir string) {
				must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, ""))
			},
		},
		"directory read-only": {
			reason: "permission denied",
			prepare: func(t *testing.T, dir string) {
				for above := filepath.Dir(dir); above != os.TempDir() && above != "/"; above = filepath.Dir(above) {
					must(t, os.Chmod(above, 0o755)) //nolint:gosec // so that another user gets there
				}
				if os.Getuid() == 0 {
					must(t, os.Chown(dir, nobody, -1))
				}
			},
			spoil: func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o500)) }, //nolint:gosec // a directory
			mend:  func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o700)) }, //nolint:gosec // a directory
			as:    asNobody,
			fill:  true,
			keeps: true,
		},
	}
}

func TestSpoolIsUsedAgainWhenItIsBack(t *testing.T) {
	for name, f := range spoolFaults() {
		t.Run(name, func(t *testing.T) {
			if f.as == nil {
				f.as = func(_ *testing.T, do func()) { do() }
			}
			s := newStoppedSink(t)
			addr := s.Listener.Addr().String()
			_ = s.Listener.Close()
			dir := filepath.Join(t.TempDir(), "spool")
			must(t, os.Mkdir(dir, 0o700))
			if f.prepare != nil {
				f.prepare(t, dir)
			}
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
			f.spoil(t, dir)
			for i := range 3 { // larger than what a full disk has left of the last block
				name := fmt.Sprint(i, strings.Repeat(" ", 8<<10))
				f.as(t, func() { post(t, tr, delivery.Traces, "http://"+addr, traceRequest(name)) })
				names = append(names, name)
			}
			f.mend(t, dir)
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

// mount puts a file system of its own in the place of a directory.
func mount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Skipf("cannot mount a file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

const nobody = 65534

// asNobody runs do without the right to write where modes forbid it, which root
// has. Only this thread is changed, and it ends with the goroutine.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Getuid() != 0 {
		do()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked
		if err := syscall.Setfsuid(nobody); err != nil {
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
