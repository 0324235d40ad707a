package view_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/view"
)

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "traces")
	ring := ringOf(shop...)
	batch := request(span{trace: 3, id: 1}, span{trace: 3, id: 2, parent: 1})
	shared := batch.GetResourceSpans()[0].GetScopeSpans()[0] // one resource for both
	shared.Spans = append(shared.Spans, batch.GetResourceSpans()[1].GetScopeSpans()[0].GetSpans()...)
	batch.ResourceSpans = batch.GetResourceSpans()[:1]
	ring.AddTraces(batch)
	ring.AddTraces(request(span{trace: 2, id: 1, service: "batch", name: "run", from: 0, to: 5000}))
	ring.AddLogs(logRecord(1, 3, 1050, "no items"))
	for range 2 { // a second time over the first
		if err := ring.Save(path); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}

	loaded := view.NewRing(view.MinBytes)
	if err := loaded.Load(path); err != nil {
		t.Fatal(err)
	}
	if got, want := rows(t, loaded), rows(t, ring); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	found, _ := loaded.Search(view.Query{}, 0, 10)
	if len(found) != 3 || found[0].Service != "batch" || found[2].Logs != 1 {
		t.Errorf("found %+v", found)
	}
	if got, want := loaded.Stats().Bytes, ring.Stats().Bytes; got != want {
		t.Errorf("%d bytes, before it was saved %d", got, want)
	}
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	ring := ringOf(shop...)
	if err := ring.Load(filepath.Join(dir, "none")); err != nil {
		t.Errorf("a file that does not exist: %v", err)
	}
	if err := ring.Save(filepath.Join(dir, "none", "traces")); err == nil {
		t.Error("saved to a directory that does not exist")
	}
	path := filepath.Join(dir, "traces")
	if err := ring.Save(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"cut short": string(whole[:len(whole)/2]), "without its logs": string(whole[:len(whole)-1]), "another file": "hello, world", "too large": "\xff\xff\xff\xff\x7f",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := view.NewRing(0).Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
