package view_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/view"
)

// openJournal fails the test if the file cannot be read or, later, written.
func openJournal(t *testing.T, path string, limit int64) (j *view.Journal, damaged int64) {
	t.Helper()
	j, damaged, err := view.OpenJournal(view.NewRing(limit), path, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j, damaged
}

// killed copies the files as a process that is killed now would leave them.
func killed(t *testing.T, path string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{path, path + ".old"} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, filepath.Base(path))
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traces")
	before, _ := openJournal(t, path, 0)
	before.AddTraces(request(shop...))
	before.AddTraces(request(shop[:2]...)) // sent again
	before.AddLogs(logRecord(1, 3, 1050, "no items"))
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	after, damaged := openJournal(t, killed(t, path), 0)
	if damaged != 0 {
		t.Errorf("%d bytes damaged", damaged)
	}
	if got, want := rows(t, after.Ring), rows(t, before.Ring); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, want := after.Stats(), before.Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestJournalCutAnywhere opens what is left of a file when its last record was
// not written to the end.
func TestJournalCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "traces")
	j, _ := openJournal(t, path, 0)
	j.AddTraces(request(span{trace: 1, id: 1}))
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	j.AddTraces(request(span{trace: 2, id: 1}))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(content []byte) (spans, damaged int64) {
		cut := filepath.Join(t.TempDir(), "cut")
		if err := os.WriteFile(cut, content, 0o600); err != nil {
			t.Fatal(err)
		}
		j, damaged := openJournal(t, cut, 0)
		spans = j.Stats().Spans
		j.AddTraces(request(span{trace: 3, id: 1}))
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		if again, left := openJournal(t, cut, 0); left != 0 || again.Stats().Spans != spans+1 {
			t.Errorf("with %d bytes: after another span %d, damaged %d; want %d", len(content), again.Stats().Spans, left, spans+1)
		}
		return spans, damaged
	}
	for n := len(first); n < len(whole); n++ {
		if spans, damaged := open(whole[:n]); spans != 1 || damaged != int64(n-len(first)) {
			t.Errorf("cut to %d of %d bytes: %d spans, %d bytes damaged", n, len(whole), spans, damaged)
		}
	}
	for n := range len("clew view 1\n") {
		if spans, _ := open(whole[:n]); spans != 0 {
			t.Errorf("cut to %d bytes: %d spans", n, spans)
		}
	}
	for i := len(first); i < len(whole); i++ {
		changed := append([]byte{}, whole...)
		changed[i] ^= 0x55
		if spans, damaged := open(changed); spans != 1 || damaged != int64(len(whole)-len(first)) {
			t.Errorf("byte %d changed: %d spans, %d bytes damaged", i, spans, damaged)
		}
	}
}

// TestJournalIsBounded turns the ring over several times. What the ring holds
// in the end is in the files, which hold no more bytes than the ring.
func TestJournalIsBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "traces")
	j, _ := openJournal(t, path, view.MinBytes)
	for trace := range 8_000 {
		j.AddTraces(request(span{trace: trace + 1, id: 1, service: "shop", name: "GET /cart"}, span{trace: trace + 1, id: 2, parent: 1, service: "shop", name: "load"}))
		if trace%100 != 0 {
			continue
		}
		var size int64
		for _, name := range []string{path, path + ".old"} {
			if info, err := os.Stat(name); err == nil {
				size += info.Size()
			} else if !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if size > view.MinBytes {
			t.Fatalf("%d bytes after %d traces", size, trace)
		}
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 3 { // and the lock
		t.Errorf("%v, %v", files, err)
	}
	again, _ := openJournal(t, killed(t, path), view.MinBytes)
	got, want := again.Stats(), j.Stats()
	if want.Evicted < 7_000 || got.Traces != want.Traces || got.Spans != want.Spans || got.Bytes != want.Bytes {
		t.Errorf("got %+v, want %+v", got, want)
	}
	read, _ := again.Search(view.Query{}, 0, 10_000)
	held, _ := j.Search(view.Query{}, 0, 10_000)
	for i := range held {
		if read[i].ID != held[i].ID {
			t.Fatalf("trace %d is %v, want %v", i, read[i].ID, held[i].ID)
		}
	}
}

func TestJournalErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "traces")
	for name, content := range map[string]string{path: "hello, world", path + ".old": "hello, world"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := view.OpenJournal(view.NewRing(0), path, nil); err == nil || !strings.Contains(err.Error(), name+" is not a file of clew view") {
			t.Errorf("%s: %v", name, err)
		}
		if kept, err := os.ReadFile(name); err != nil || string(kept) != content {
			t.Errorf("%s was changed: %q, %v", name, kept, err)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "traces")} {
		if _, _, err := view.OpenJournal(view.NewRing(0), path, nil); err == nil {
			t.Errorf("%s: no error", path)
		}
	}

	// The directory goes away: rotating fails, said once, and the ring goes on.
	gone := filepath.Join(dir, "gone")
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	var failures []error
	j, _, err := view.OpenJournal(view.NewRing(0), filepath.Join(gone, "traces"), func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	const traces = 8_000
	for trace := range traces {
		j.AddTraces(request(span{trace: trace + 1, id: 1, service: "shop", name: "GET /cart"}))
	}
	if len(failures) != 1 || j.Stats().Received != traces {
		t.Errorf("failures %v, received %d", failures, j.Stats().Received)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
