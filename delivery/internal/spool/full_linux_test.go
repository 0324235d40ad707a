package spool_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/delivery/internal/spool"
)

// TestRemovedRecordsTakeNoRoom: neither on a disk that is full nor in a spool that is.
func TestRemovedRecordsTakeNoRoom(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); errors.Is(err, syscall.EPERM) {
		t.Log("the full disk is not tried, because this user may not mount one")
		disk = t.TempDir()
	} else if err != nil {
		t.Fatal(err)
	} else {
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	}
	for dir, opts := range map[string]spool.Options{
		disk:        {MaxBytes: 1 << 20, MaxRecord: 1 << 20},
		t.TempDir(): {MaxBytes: 64 << 10, MaxRecord: 64 << 10},
	} {
		s, _, _ := openWith(t, dir, opts)
		ref, err := s.Append(nil, make([]byte, 12<<10))
		if err != nil {
			t.Fatal(err)
		}
		s.Remove(ref)
		if _, err := s.Append(nil, make([]byte, 56<<10)); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, left, damaged := openWith(t, dir, opts); len(left) != 1 || damaged != 0 {
			t.Errorf("%d records and %d damaged ones are left", len(left), damaged)
		}
	}
}
