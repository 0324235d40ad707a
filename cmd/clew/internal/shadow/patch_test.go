package shadow

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// toolchain is the one that runs the tests, if clew go works for it.
func toolchain(t *testing.T) Toolchain {
	t.Helper()
	tc, err := FindToolchain(t.Context(), "")
	if err != nil {
		t.Skip(err)
	}
	return tc
}

// copied is a toolchain that has the files that are patched, and no others.
func copied(t *testing.T) Toolchain {
	t.Helper()
	tc := toolchain(t)
	root := t.TempDir()
	names := []string{}
	for _, p := range stdPatches {
		names = append(names, p.file)
	}
	for _, choice := range stdVariants {
		for _, v := range choice {
			names = append(names, v.has)
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(tc.source(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(root, "src", filepath.FromSlash(name)), text)
	}
	tc.Root = root
	return tc
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// edit changes a file of a copied toolchain.
func (t Toolchain) edit(tb testing.TB, name, from, to string) {
	tb.Helper()
	text, err := os.ReadFile(t.source(name))
	if err != nil {
		tb.Fatal(err)
	}
	if !bytes.Contains(text, []byte(from)) {
		tb.Fatalf("%s has no %q", name, from)
	}
	if err := os.WriteFile(t.source(name), bytes.ReplaceAll(text, []byte(from), []byte(to)), 0o600); err != nil {
		tb.Fatal(err)
	}
}

func TestPatchesFitAndAddNoLine(t *testing.T) {
	tc := toolchain(t)
	files, err := patchStd(tc)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range stdPatches {
		before, err := os.ReadFile(tc.source(p.file))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := bytes.Count(files[p.file], []byte("\n")), bytes.Count(before, []byte("\n")); got != want || bytes.Equal(files[p.file], before) {
			t.Errorf("%s has %d lines with its patches, %d without", p.file, got, want)
		}
	}
}

// TestEveryMismatchIsListed changes the standard library in several places.
func TestEveryMismatchIsListed(t *testing.T) {
	tc := copied(t)
	if err := Check(tc); err != nil {
		t.Fatal(err)
	}
	tc.edit(t, "net/http/server.go", "handler.ServeHTTP(rw, req)", "handler.ServeHTTP(rw, req.WithContext(ctx))")
	tc.edit(t, "runtime/proc.go", "newg.labels = mp.curg.labels", "newg.labels = mp.curg.labels; newg.labels = mp.curg.labels")
	tc.edit(t, "time/sleep.go", "func AfterFunc(d Duration, f func()) *Timer", "func AfterFunc(d Duration, f func(), name string) *Timer")
	if err := os.Remove(tc.source("log/log.go")); err != nil {
		t.Fatal(err)
	}
	write(t, tc.source("runtime/zz_clew.go"), []byte("package runtime"))
	err := Check(tc)
	var mismatch *MismatchError
	if !errors.As(err, &mismatch) {
		t.Fatalf("Check = %v, want a MismatchError", err)
	}
	for _, want := range []string{
		`net/http/server.go: func (sh serverHandler) ServeHTTP(rw ResponseWriter, req *Request): expected the statement "handler.ServeHTTP(rw, req)" once, found it 0 times`,
		`expected the statement "newg.labels = mp.curg.labels" once, found it 2 times`,
		"time/sleep.go: the file: expected func AfterFunc(d Duration, f func()) *Timer",
		"log/log.go: the file: expected to be there",
		"runtime/zz_clew.go: the file: expected not to be there",
		"Supported are go1.26.x and go1.27.x.",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if len(mismatch.Reasons) != 5 {
		t.Errorf("%d reasons, want 5", len(mismatch.Reasons))
	}
}

func TestOtherReleasesAreRefused(t *testing.T) {
	tc := copied(t)
	for version, ok := range map[string]bool{
		"go1.26.8": true, "go1.26": true, "go1.27.0": true, "go1.26.1 X:nocoverageredesign": true,
		"go1.25.9": false, "go1.28.0": false, "go1.260.1": false, "devel go1.28-abc": false, "": false,
	} {
		tc.Version = version
		err := Check(tc)
		if (err == nil) != ok {
			t.Errorf("Check of %q = %v", version, err)
		}
		if err != nil && !strings.Contains(err.Error(), Supported()) {
			t.Errorf("%v does not name the releases that are supported", err)
		}
	}
}

func TestOtherSystemsAreRefused(t *testing.T) {
	for _, system := range []string{"linux/amd64 yes", "linux/arm64 yes", "darwin/arm64 yes", "darwin/amd64 yes", "windows/amd64", "linux/386", "freebsd/amd64", "js/wasm"} {
		pair, yes, _ := strings.Cut(system, " ")
		os, arch, _ := strings.Cut(pair, "/")
		err := Toolchain{Root: t.TempDir(), OS: os, Arch: arch}.check()
		if (err == nil) != (yes != "") {
			t.Errorf("%s: %v", pair, err)
		}
		if err != nil && !strings.Contains(err.Error(), "GOOS="+os) {
			t.Errorf("%v does not name the system", err)
		}
	}
}

func TestModulePatches(t *testing.T) {
	const fits = `package mux

func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	// A comment.
	handler.ServeHTTP(w, req)
}
`
	patch := modulePatches["github.com/gorilla/mux"].files[0][0]
	s, err := parseSource("mux.go", []byte(fits))
	if err != nil {
		t.Fatal(err)
	}
	got, err := patch.apply(s)
	if err != nil || !bytes.Contains(got, []byte("http.ClewRoute(req, t) } }; handler.ServeHTTP(w, req)\n}\n")) {
		t.Errorf("%s %v", got, err)
	}
	dir := t.TempDir()
	file, out := filepath.Join(dir, "mux.go"), filepath.Join(dir, "out", "_pkg_.a")
	args := []string{"-o", out, "-p", "github.com/gorilla/mux", file}
	write(t, out, nil)
	write(t, file, []byte(fits))
	if got, _ := patchModule(nil, args); got[4] == file {
		t.Errorf("%v: the patched file is not compiled", got)
	}
	args[4] = filepath.Join(dir, "mux.cover.go") // what -cover makes of it
	write(t, args[4], []byte(fits))
	if got, _ := patchModule(nil, args); got[4] == filepath.Join(dir, "mux.cover.go") {
		t.Errorf("%v: the patched file is not compiled with -cover", got)
	}
	args[4] = file
	write(t, file, []byte("package mux\n"))
	if got, _ := patchModule(nil, args); got[4] != file {
		t.Errorf("%v: a router that does not fit is not compiled as it is", got)
	}
	args[3] = "other.example/mux"
	if got, _ := patchModule(nil, args); got[4] != file {
		t.Errorf("%v: another package is changed", got)
	}
}

func TestIsolatedPaths(t *testing.T) {
	for from, want := range map[string]string{
		"github.com/clewtrace/clew/internal/auto":            "clew/auto",
		"github.com/clewtrace/clew/internal/redact":          "clew/x/github.com/clewtrace/clew/private/redact",
		"github.com/clewtrace/clew/delivery/internal/spool":  "clew/x/github.com/clewtrace/clew/delivery/private/spool",
		"github.com/clewtrace/clew/clewhttp":                 "clew/x/github.com/clewtrace/clew/clewhttp",
		"go.opentelemetry.io/otel/attribute/internal/xxhash": "clew/x/go.opentelemetry.io/otel/attribute/internal/xxhash",
		"github.com/clewtrace/clewother/internal/redact":     "clew/x/github.com/clewtrace/clewother/internal/redact",
	} {
		if got := newPath(from); got != want {
			t.Errorf("newPath(%q) = %q, want %q", from, got, want)
		}
	}
	packages := map[string]listed{"go.opentelemetry.io/otel": {}}
	got, err := rewriteImports("x.go", []byte("package x // import \"example.com/x\"\n\nimport (\n\t\"fmt\"\n\to \"go.opentelemetry.io/otel\"\n)\n"), packages)
	if want := "package x\n\nimport (\n\t\"fmt\"\n\to \"clew/x/go.opentelemetry.io/otel\"\n)\n"; err != nil || strings.ReplaceAll(string(got), "package x \n", "package x\n") != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
	if got, err := rewriteImports("x.go", []byte("//go:build ignore\n\npackage main\n"), nil); got != nil || err != nil {
		t.Errorf("%q %v: a file that is never built is kept", got, err)
	}
}

// TestIsolatedHasNoGlobals holds that nothing that registers itself with the
// program's http.DefaultServeMux, flags or gRPC is linked into every program.
func TestIsolatedHasNoGlobals(t *testing.T) {
	is, err := isolate(t.Context(), filepath.Join("..", "..", "..", ".."), "linux")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range is.files {
		for _, global := range []string{"google.golang.org/grpc/internal", "golang.org/x/net/trace"} {
			if strings.Contains(name, global) {
				t.Errorf("%s is linked into every program", name)
			}
		}
		for _, call := range []string{"http.HandleFunc(", "http.Handle(", "flag.Bool(", "flag.String(", "expvar.Publish("} {
			if bytes.Contains(text, []byte("\t"+call)) {
				t.Errorf("%s calls %s", name, call)
			}
		}
	}
	if is.files["clew/auto/auto.go"] == nil || len(is.inputs) < 20 {
		t.Errorf("%d inputs, clew/auto/auto.go has %d bytes", len(is.inputs), len(is.files["clew/auto/auto.go"]))
	}
}
