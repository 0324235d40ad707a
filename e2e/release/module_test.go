package release_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// root is the path of the root module, and the prefix of all others.
const root = "github.com/clewtrace/clew"

// ourModule is one of this repository.
type ourModule struct {
	path string
	dir  string
	file *modfile.File // its go.mod
}

// name returns the path below [root], "." for the root module itself.
func (m ourModule) name() string {
	if m.path == root {
		return "."
	}
	return strings.TrimPrefix(m.path, root+"/")
}

// released returns the modules that are released, in the order in which they
// are tagged: each after the ones that it requires. They are the module contrib
// and all that it needs of this repository, which is in dir.
func released(t *testing.T, dir string) []ourModule {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []ourModule
	seen := map[string]bool{}
	var visit func(path string)
	visit = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		m := ourModule{path: path, dir: filepath.Join(dir, strings.TrimPrefix(path, root))}
		file := filepath.Join(m.dir, "go.mod")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if m.file, err = modfile.Parse(file, text, nil); err != nil {
			t.Fatal(err)
		}
		for _, r := range m.file.Require {
			if isOurs(r.Mod.Path) {
				visit(r.Mod.Path)
			}
		}
		all = append(all, m)
	}
	visit(root + "/contrib")
	return all
}

// isOurs reports whether a module or package is of this repository.
func isOurs(path string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// packages returns the packages of m that others can import.
func (m ourModule) packages(t *testing.T) []string {
	t.Helper()
	var public []string
	for line := range strings.Lines(runGo(t, m.dir, nil, "list", "-f", "{{if .GoFiles}}{{.Name}} {{.ImportPath}}{{end}}", "./...")) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), " ")
		if path != "" && name != "main" && !strings.Contains(path+"/", "/internal/") && !strings.Contains(path, "/examples/") {
			public = append(public, path)
		}
	}
	return public
}

// runGo runs the go command in dir and returns what it prints to standard output.
func runGo(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod"), env...) // the last of a name counts
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v in %s: %v\n%s%s", cmd, dir, err, out, &stderr)
	}
	return string(out)
}
