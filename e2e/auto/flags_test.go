package auto_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBuildModes builds in the ways that people build, and looks for the trace.
func TestBuildModes(t *testing.T) {
	for _, flags := range []string{"-trimpath -buildmode=pie -tags=netgo,osusergo -pgo=auto", "-ldflags=-s -w", "-cover", "-buildvcs=false -v -x"} {
		t.Run(flags, func(t *testing.T) {
			args := strings.Fields(flags)
			if strings.HasPrefix(flags, "-ldflags") {
				args = []string{flags}
			}
			dir := module(t, "exits")
			if slices.Contains(args, "-pgo=auto") {
				write(t, filepath.Join(dir, "default.pgo"), string(cpuProfile("main.main", "net/http.Get")))
			}
			path := build(t, dir, args...)
			got, _ := run(t, path, "return")
			compare(t, got, map[string]int{"client GET(server GET)": 1})
			if out := output(t, clew(t, ".", "doctor", "-binary", path)); !strings.Contains(out, "was built by clew go, with go1.") {
				t.Errorf("clew doctor -binary says %q", out)
			}
			if out := output(t, exec.CommandContext(t.Context(), "go", "version", "-m", path)); strings.Contains(out, "\tbuild\t-pgo=") != slices.Contains(args, "-pgo=auto") {
				t.Errorf("the build has the settings\n%s", out)
			}
			if out, err := clew(t, ".", "doctor", "-binary", buildPlain(t, module(t, "exits"))).CombinedOutput(); err == nil {
				t.Errorf("clew doctor -binary of a plain program says %q", out)
			}
		})
	}
}

// TestOwnFlagsAreKept builds with the user's own overlay and toolexec.
func TestOwnFlagsAreKept(t *testing.T) {
	dir := module(t, "exits")
	other, overlay, seen := filepath.Join(dir, "other"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "seen")
	write(t, other, "package main\n\nfunc init() { println(\"overlaid\") }\n")
	write(t, overlay, `{"Replace": {"`+filepath.Join(dir, "extra.go")+`": "`+other+`"}}`)
	wrapper := filepath.Join(dir, "wrapper")
	write(t, wrapper, "#!/bin/sh\necho \"$@\" >> "+seen+"\nexec \"$@\"\n")
	if err := os.Chmod(wrapper, 0o755); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	path := build(t, dir, "-overlay="+overlay, "-toolexec="+wrapper)
	c := newCollector(t)
	p := c.start(t, path, []string{"return"})
	p.Wait(t, limit)
	compare(t, shapes(c.Spans()), map[string]int{"client GET(server GET)": 1})
	if !strings.Contains(p.Stderr(), "overlaid") {
		t.Errorf("the user's overlay has no effect: %q", p.Stderr())
	}
	if text, err := os.ReadFile(seen); err != nil || !strings.Contains(string(text), "/link -o ") {
		t.Errorf("the user's toolexec has seen %q, %v", text, err)
	}
}

// TestWorkspaceAndDirectory builds a program of a go.work from outside of it.
func TestWorkspaceAndDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "exits"), os.DirFS(module(t, "exits"))); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "lib", "go.mod"), "module plain.example/lib\n\ngo 1.25\n")
	write(t, filepath.Join(dir, "lib", "lib.go"), "package lib\n\nconst X = 1\n")
	write(t, filepath.Join(dir, "exits", "uses.go"), "package main\n\nimport \"plain.example/lib\"\n\nvar _ = lib.X\n")
	write(t, filepath.Join(dir, "go.work"), "go 1.25\n\nuse (\n\t./exits\n\t./lib\n)\n")
	path := filepath.Join(t.TempDir(), "program")
	output(t, clew(t, t.TempDir(), "go", "build", "-C", filepath.Join(dir, "exits"), "-o", path, "."))
	got, _ := run(t, path, "return")
	compare(t, got, map[string]int{"client GET(server GET)": 1})
}

// TestRunTestAndVet are the other commands.
func TestRunTestAndVet(t *testing.T) {
	c := newCollector(t)
	dir := module(t, "exits")
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"."}, {"main.go"}, {"-C", link, "main.go"}} {
		cmd := clew(t, dir, append(append([]string{"go", "run"}, args...), "exit")...)
		cmd.Env = append(os.Environ(), c.env...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "exit status 3") {
			t.Errorf("go run %v: %v\n%s", args, err, out)
		}
	}
	compare(t, shapes(c.Spans()), map[string]int{"client GET(server GET)": 3})
	output(t, clew(t, dir, "go", "vet", "./..."))
	output(t, clew(t, ".", "go", "vet", "-C", dir, "./..."))

	c = newCollector(t)
	write(t, filepath.Join(dir, "lib", "lib_test.go"), `package lib

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestX(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	if resp, err := http.Get(s.URL); err != nil {
		t.Error(err)
	} else {
		resp.Body.Close()
	}
}
`)
	cmd := clew(t, dir, "go", "test", "-count=1", "./...", "-run", "X")
	cmd.Env = append(os.Environ(), c.env...)
	if out := output(t, cmd); !strings.Contains(out, "ok  \tplain.example/exits/lib") {
		t.Errorf("go test says %s", out)
	}
	compare(t, shapes(c.Spans()), map[string]int{"client GET(server GET)": 1})
	output(t, exec.CommandContext(t.Context(), "ls", dir))
}

// TestCgo builds a program with C in it.
func TestCgo(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("there is no C compiler")
	}
	dir := module(t, "exits")
	write(t, filepath.Join(dir, "c.go"), "package main\n\n// int one(void) { return 1; }\nimport \"C\"\n\nfunc init() { println(C.one()) }\n")
	c := newCollector(t)
	p := c.start(t, build(t, dir), []string{"return"})
	if code := p.Wait(t, limit); code != 0 || p.Stderr() != "1\n" {
		t.Errorf("exit code %d, standard error %q", code, p.Stderr())
	}
	compare(t, shapes(c.Spans()), map[string]int{"client GET(server GET)": 1})
}
