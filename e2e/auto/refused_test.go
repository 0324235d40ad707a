package auto_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// changed is a GOROOT that differs from the toolchain's in one file.
func changed(t *testing.T, name, from, to string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot, root := strings.TrimSpace(string(out)), t.TempDir()
	// Directories on the way to the file are real, all else is linked.
	dir := ""
	for _, element := range append([]string{"src"}, strings.Split(name, "/")...) {
		entries, err := os.ReadDir(filepath.Join(goroot, dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != element {
				if err := os.Symlink(filepath.Join(goroot, dir, e.Name()), filepath.Join(root, dir, e.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
		dir = filepath.Join(dir, element)
	}
	text, err := os.ReadFile(filepath.Join(goroot, dir))
	if err != nil || !bytes.Contains(text, []byte(from)) {
		t.Fatalf("%s has no %q: %v", name, from, err)
	}
	write(t, filepath.Join(root, dir), strings.ReplaceAll(string(text), from, to))
	return root
}

// TestChangedStandardLibraryIsRefused says where it is not as expected, and
// builds nothing.
func TestChangedStandardLibraryIsRefused(t *testing.T) {
	goroot := changed(t, "net/http/server.go", "\thandler.ServeHTTP(rw, req)\n", "\thandler.ServeHTTP(rw, req) // and more\n\t_ = req\n\thandler = handler\n\tif true {\n\t\thandler.ServeHTTP(rw, req)\n\t}\n")
	dir := module(t, "client")
	for _, args := range [][]string{{"check"}, {"go", "build", "-o", "program", "."}, {"go", "run", "."}, {"go", "vet", "."}} {
		cmd := clew(t, dir, args...)
		cmd.Env = append(os.Environ(), "GOROOT="+goroot, "GOTOOLCHAIN=local")
		got := failure(t, cmd)
		for _, want := range []string{
			`net/http/server.go: func (sh serverHandler) ServeHTTP(rw ResponseWriter, req *Request): expected the statement "handler.ServeHTTP(rw, req)" once, found it 2 times`,
			"Supported are go1.26.x and go1.27.x.",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("clew %v does not say %q:\n%s", args, want, got)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "program")); err == nil {
		t.Error("there is a program")
	}
}

// TestWhatCannotBeTracedIsRefused lists what would give a program without
// tracing.
func TestWhatCannotBeTracedIsRefused(t *testing.T) {
	dir := module(t, "client")
	write(t, filepath.Join(dir, "unreadable", "main.go"), "module main\n")
	write(t, filepath.Join(dir, "lib", "lib.go"), "package lib\n")
	for _, c := range []struct {
		args []string
		env  string
		want string
	}{
		{[]string{"go", "build", "."}, "GOOS=windows", "GOOS=windows GOARCH=amd64: clew go builds for linux and darwin"},
		{[]string{"check"}, "GOARCH=386", "GOARCH=386"},
		{[]string{"go", "install", "plain.example/x@latest"}, "", "plain.example/x@latest is built outside of the module cache only"},
		{[]string{"go", "run", "./missing"}, "", "missing: directory not found"},
		{[]string{"go", "run", "./unreadable"}, "", "main.go:1:1: expected 'package', found module"},
		{[]string{"go", "run", "./lib"}, "", "lib is not a main package"},
		{[]string{"go", "run", "cmd/gofmt"}, "", "cmd/gofmt is in "},
		{[]string{"go", "test", "a_test.go"}, "", "give a directory"},
		{[]string{"go", "build", "-overlay=missing.json", "."}, "", "missing.json"},
	} {
		cmd := clew(t, dir, c.args...)
		cmd.Env = append(os.Environ(), c.env)
		if got := failure(t, cmd); !strings.Contains(got, c.want) {
			t.Errorf("clew %v %s does not say %q:\n%s", c.args, c.env, c.want, got)
		}
	}
}
