//go:build unix

package ownfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/clewtrace/clew/internal/ownfile"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(at("file"), []byte("precious"), 0o600))
	must(os.WriteFile(at("twice"), []byte("precious"), 0o600))
	must(os.Link(at("twice"), at("hard link")))
	must(os.Symlink(at("file"), at("link")))
	must(os.Symlink("/dev/zero", at("endless")))
	must(os.Symlink(at("nothing"), at("dangling")))
	must(os.Mkdir(at("directory"), 0o700))
	must(syscall.Mkfifo(at("pipe"), 0o600))
	for _, name := range []string{"link", "endless", "dangling", "directory", "pipe", "hard link"} {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE | os.O_TRUNC} {
			if f, err := ownfile.Open(at(name), flag, 0o600); err == nil {
				t.Errorf("%s was opened", name)
				_ = f.Close()
			}
		}
		if f, err := ownfile.Lock(at(name)); err == nil {
			t.Errorf("%s was locked", name)
			_ = f.Close()
		}
	}
	for _, name := range []string{"file", "twice"} {
		if b, err := os.ReadFile(at(name)); err != nil || string(b) != "precious" {
			t.Errorf("%s holds %q, %v", name, b, err)
		}
	}
	f, err := ownfile.Open(at("file"), os.O_RDONLY, 0)
	must(err)
	must(f.Close())
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := ownfile.Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ownfile.Lock(path)
	held, ok := errors.AsType[*ownfile.HeldError](err)
	if !ok || held.Process != strconv.Itoa(os.Getpid()) {
		t.Errorf("the second: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := ownfile.Lock(path)
	if err != nil {
		t.Fatalf("after the first: %v", err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
}
