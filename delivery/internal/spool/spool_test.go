package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/delivery/internal/spool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var options = spool.Options{MaxBytes: 64 << 20, MaxRecord: 64 << 20}

func open(t *testing.T, dir string) (*spool.Spool, []spool.Record, int) {
	t.Helper()
	return openWith(t, dir, options)
}

func openWith(t *testing.T, dir string, opts spool.Options) (*spool.Spool, []spool.Record, int) {
	t.Helper()
	s, err := spool.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	var left []spool.Record
	found, err := s.Recover(func(r spool.Record) { left = append(left, r) })
	if err != nil {
		t.Fatal(err)
	}
	return s, left, found.Damaged
}

func fill(t *testing.T, s *spool.Spool, n int) []spool.Ref {
	t.Helper()
	var refs []spool.Ref
	for i := range n {
		ref, err := s.Append([]byte("meta"), fmt.Appendf(nil, "body %d", i))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	return refs
}

func bodies(left []spool.Record) []string {
	var all []string
	for _, r := range left {
		all = append(all, string(r.Body))
	}
	return all
}

func segments(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// copyOf is what a process that is killed now would leave: its files, without
// its lock.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestWhatIsNotRemovedIsFoundAgainInOrder(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("sync %v", sync), func(t *testing.T) {
			dir := t.TempDir()
			opts := options
			opts.Sync = sync
			s, _, _ := openWith(t, dir, opts)
			foundAgainInOrder(t, s, dir)
		})
	}
}

func foundAgainInOrder(t *testing.T, s *spool.Spool, dir string) {
	t.Helper()
	refs := fill(t, s, 5)
	s.Remove(refs[1])
	s.Remove(refs[3])
	for name, dir := range map[string]string{"killed": copyOf(t, dir), "closed": dir} {
		if name == "closed" {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		again, left, damaged := open(t, dir)
		if got := bodies(left); !slices.Equal(got, []string{"body 0", "body 2", "body 4"}) || damaged != 0 || string(left[0].Meta) != "meta" {
			t.Errorf("%s: found %q, %d damaged", name, got, damaged)
		}
		for _, r := range left {
			again.Remove(r.Ref)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		if got := segments(t, dir); len(got) != 0 {
			t.Errorf("%s: %v left although nothing is in it", name, got)
		}
	}
}

func TestDamageIsSkippedAndCounted(t *testing.T) {
	for name, harm := range map[string]func([]byte) []byte{
		"torn end":     func(b []byte) []byte { return b[:len(b)-3] },
		"flipped body": func(b []byte) []byte { b[bytes.Index(b, []byte("body 2"))] ^= 1; return b },
		"zeroed middle": func(b []byte) []byte {
			at := bytes.Index(b, []byte("body 2"))
			clear(b[at-20 : at+6])
			return b
		},
		"absurd length": func(b []byte) []byte {
			at := bytes.Index(b, []byte("body 2"))
			copy(b[at-8:], "\xff\xff\xff\xff")
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, _, _ := open(t, dir)
			fill(t, s, 5)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			path := segments(t, dir)[0]
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, harm(data), 0o600); err != nil {
				t.Fatal(err)
			}
			_, left, damaged := open(t, dir)
			if len(left) != 4 || damaged != 1 {
				t.Errorf("found %q, %d damaged: want the four others and 1", bodies(left), damaged)
			}
		})
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "0000000000000007.seg")
	if err := os.WriteFile(path, []byte("clewsp9\nof a later version"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, left, damaged := open(t, dir)
	if len(left) != 0 || damaged != 1 {
		t.Errorf("found %d records, %d damaged", len(left), damaged)
	}
	fill(t, s, 1)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s, _, _ := open(t, dir)
	_, err := spool.Open(dir, options)
	if err == nil || !strings.Contains(err.Error(), "process "+strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: %v, want an error naming the directory and the process", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestBound(t *testing.T) {
	s, _, _ := openWith(t, t.TempDir(), spool.Options{MaxBytes: 1 << 20, MaxRecord: 1 << 20, Sync: true})
	body := make([]byte, 100<<10)
	var refs []spool.Ref
	for {
		ref, err := s.Append(nil, body)
		if errors.Is(err, spool.ErrFull) {
			break
		}
		if err != nil || len(refs) > 20 {
			t.Fatal(len(refs), err)
		}
		refs = append(refs, ref)
	}
	if len(refs) != 10 {
		t.Errorf("%d records of 100 KiB in 1 MiB", len(refs))
	}
	for _, ref := range refs {
		s.Remove(ref)
	}
	if _, err := s.Append(nil, body); err != nil {
		t.Errorf("after everything was removed: %v", err)
	}
}

func TestDirectoryRemovedWhileRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s, _, _ := open(t, dir)
	refs := fill(t, s, 3)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	// A file in its place, so that it cannot be made again.
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(nil, []byte("x")); err == nil {
		t.Error("no error although the directory is gone")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	fill(t, s, 2)
	for _, ref := range refs {
		s.Remove(ref)
	}
	if _, left, damaged := open(t, copyOf(t, dir)); len(left) != 2 || damaged != 0 {
		t.Errorf("found %q in the directory made anew, %d damaged", bodies(left), damaged)
	}
}

// FuzzScan feeds the reader whole segments and damaged ones.
func FuzzScan(f *testing.F) {
	dir := f.TempDir()
	s, err := spool.Open(dir, options)
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		if _, err := s.Append([]byte("meta"), []byte(strings.Repeat("x", i))); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(dir, "0000000000000000.seg"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole, 0, byte(0))
	f.Add(whole, 20, byte(1))
	f.Add(whole[:len(whole)-1], 40, byte(0x80))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		data = bytes.Clone(data)
		if len(data) > 0 && at >= 0 {
			data[at%len(data)] ^= flip
		}
		end := int64(0)
		spool.Scan(bytes.NewReader(data), int64(len(data)), 1<<20, func(offset int64, meta, body []byte) bool {
			length := int64(len(meta) + len(body))
			if offset < end || offset+length > int64(len(data)) {
				t.Errorf("record at %d with %d bytes, after one that ended at %d, in %d bytes", offset, length, end, len(data))
			}
			end = offset + length
			return true
		})
	})
}
