package release_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const version = "v0.1.0"

// TestRehearsedRelease releases the modules of this repository into a proxy on
// disk, and uses what is there as somebody does who has only the proxies.
func TestRehearsedRelease(t *testing.T) {
	modules := released(t, "../..")
	env := publish(t, modules)
	t.Run("install", func(t *testing.T) { install(t, env) })
	t.Run("get", func(t *testing.T) {
		runGo(t, newModule(t, env), env, "get", root+"@"+version) // as the README says
		for _, m := range modules {
			for _, path := range m.packages(t) {
				t.Run(strings.TrimPrefix(path, root+"/"), func(t *testing.T) { get(t, env, path) })
			}
		}
	})
	t.Run("README", func(t *testing.T) { vetReadme(t, env, modules) })
}

// publish makes a module proxy with version of each module, from a copy of the
// files that are not ignored. It returns the environment in which the go
// command knows this proxy and has downloaded nothing.
func publish(t *testing.T, modules []ourModule) []string {
	t.Helper()
	proxy, cache := t.TempDir(), t.TempDir()
	// What was downloaded before is not asked of the network again.
	downloaded := filepath.Join(strings.TrimSpace(runGo(t, ".", nil, "env", "GOMODCACHE")), "cache", "download")
	env := []string{
		"GOPROXY=file://" + proxy + ",file://" + downloaded + "," + strings.TrimSpace(runGo(t, ".", nil, "env", "GOPROXY")),
		"GOMODCACHE=" + cache, "GONOSUMDB=" + root, "GONOPROXY=", "GOPRIVATE=",
		// Without paths in them, the packages of every run are the same to the build cache.
		"GOFLAGS=-mod=mod -modcacherw -trimpath",
	}
	source := copyOf(t, "../..")
	for _, m := range modules {
		dir := filepath.Join(source, m.name())
		prepare := exec.CommandContext(t.Context(), filepath.Join(source, ".ci", "release-module"), version)
		prepare.Dir, prepare.Env = dir, append(os.Environ(), env...)
		if out, err := prepare.CombinedOutput(); err != nil {
			t.Fatalf("%v in %s: %v\n%s", prepare, m.name(), err, out)
		}
		put(t, proxy, m.path, dir)
	}
	return env
}

// copyOf copies the files below dir that git does not ignore.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	list.Dir = dir
	files, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(files), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		}
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(target, name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(target, name), content, 0o755) //nolint:gosec // scripts are among them
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return target
}

// put writes the files that a module proxy serves for the module in dir (Go
// Modules Reference, "GOPROXY protocol").
func put(t *testing.T, proxy, path, dir string) {
	t.Helper()
	versions := filepath.Join(proxy, path, "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := zip.CreateFromDir(&archive, module.Version{Path: path, Version: version}, dir); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"list": version + "\n", version + ".info": fmt.Sprintf("{%q: %q}", "Version", version),
		version + ".mod": string(mod), version + ".zip": archive.String(),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// install installs the command from an empty folder, and runs its demo where
// there is neither this repository nor Go.
func install(t *testing.T, env []string) {
	t.Helper()
	empty, bin := t.TempDir(), t.TempDir()
	runGo(t, empty, append(env, "GOBIN="+bin), "install", root+"/cmd/clew@"+version)
	clew := filepath.Join(bin, "clew")
	if about := runGo(t, empty, env, "version", "-m", clew); !strings.Contains(about, "\tmod\t"+root+"\t"+version+"\t") {
		t.Errorf("the command says it is\n%s", about)
	}
	demo := exec.CommandContext(t.Context(), clew, "demo")
	demo.Dir, demo.Env = empty, []string{"PATH=" + empty}
	out, err := demo.CombinedOutput()
	if err != nil || !strings.Contains(string(out), ": 4 spans, 2 services, ") {
		t.Errorf("clew demo: %v\n%s", err, out)
	}
}

// get adds the module of a package to a new module, and builds a program that
// imports the package.
func get(t *testing.T, env []string, path string) {
	t.Helper()
	dir := newModule(t, env)
	write(t, filepath.Join(dir, "main.go"), fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", path))
	runGo(t, dir, env, "get", path+"@"+version)
	runGo(t, dir, env, "vet", ".")
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.Contains(string(mod), root) || strings.Contains(string(mod), root+" v0.0.0") {
		t.Errorf("%v, go.mod is\n%s", err, mod)
	}
}

func newModule(t *testing.T, env []string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	runGo(t, dir, env, "mod", "init", "example.com/user")
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
