package auto_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// stdSuite are packages of the standard library that are tested in one go.
type stdSuite struct {
	name     string
	packages []string
	skip     string // tests
}

// stdSuites have the packages that have hooks, or whose behaviour the scopes
// touch.
var stdSuites = []stdSuite{
	{"packages", []string{
		"context", "database/sql", "log", "log/slog", "net/http", "net/http/httptest", "net/http/httputil", "os/signal", "time",
	}, ""},
	{"runtime", []string{"runtime"}, "Pprof|^TestGdb|^TestFakeTime$"},
}

const (
	sendsContext = "compares the whole header of a request, which has a traceparent now"
	exports      = "counts allocations of a record, which is exported now"
	pointer      = "compares the size of a goroutine's structure, which has a pointer more"
)

// allowed are the tests of the standard library that fail, with the reason.
var allowed = map[string]map[string]string{
	"hooks nil": {
		"TestSizeof": pointer,
	},
	"hooks active": {
		"TestRetryRequestsOnError":        sendsContext,
		"TestTransportFlushesBodyChunks":  sendsContext,
		"TestClientCopyHeadersOnRedirect": sendsContext,
		"ExampleDumpRequest":              sendsContext,
		"TestJSONAllocs":                  exports,
		"TestAlloc":                       exports,
		"TestSizeof":                      pointer,
	},
}

// TestStandardLibrary runs the standard library's own tests over the patched
// one: with no hook set, and with all of them set and every span recorded.
func TestStandardLibrary(t *testing.T) {
	testStd(t, stdSuites, "hooks nil", "hooks active")
}

func testStd(t *testing.T, suites []stdSuite, hooks ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles the tests of the standard library")
	}
	goroot := withTests(t)
	for _, h := range hooks {
		if h == "hooks active" {
			activate(t, goroot)
		}
		for _, s := range suites {
			t.Run(h+"/"+s.name, func(t *testing.T) {
				c := newCollector(t)
				checkStd(t, s, s.run(t, goroot, c.env), allowed[h])
				if got, want := len(c.Spans()) > 1000, h == "hooks active" && s.name == "packages"; got != want {
					t.Errorf("%d spans arrive", len(c.Spans()))
				}
			})
		}
	}
}

// run returns what go test says.
func (s stdSuite) run(t *testing.T, goroot string, env []string) string {
	t.Helper()
	path, err := clewCommand()
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"test", "-short", "-vet=off", "-skip=" + s.skip, "-toolexec='" + path + "' go-toolexec '" + goroot + "' ="}, s.packages...)
	cmd := exec.CommandContext(t.Context(), filepath.Join(goroot, "bin", "go"), args...)
	cmd.Dir = filepath.Join(goroot, "src")
	cmd.Env = append(append(os.Environ(), "GOROOT="+goroot, "GOTOOLCHAIN=local", "GOFLAGS="), env...)
	out, _ := cmd.CombinedOutput() //nolint:errcheck // the output says it
	return string(out)
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// checkStd looks for tests that fail and may not.
func checkStd(t *testing.T, s stdSuite, out string, allowed map[string]string) {
	t.Helper()
	passed := 0
	for line := range strings.SplitSeq(out, "\n") {
		if strings.HasPrefix(line, "ok  \t") {
			passed++
		}
	}
	wrong, failures := false, failed.FindAllStringSubmatch(out, -1)
	for _, m := range failures {
		test, _, _ := strings.Cut(m[1], "/")
		if allowed[test] == "" {
			t.Errorf("%s fails", m[1])
			wrong = true
		}
	}
	if len(failures) == 0 && passed != len(s.packages) {
		t.Errorf("%d packages of %d pass", passed, len(s.packages))
		wrong = true
	}
	if wrong || strings.Contains(out, "build failed") || strings.Contains(out, "\npanic: ") {
		t.Error(out)
	}
}

// withTests is the GOROOT that clew go has made, with the tests of the packages.
func withTests(t *testing.T) string {
	t.Helper()
	build(t, module(t, "exits")) // makes it
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	toolchain, goroot := strings.TrimSpace(string(out)), t.TempDir()
	link(t, made(t, toolchain), goroot)
	for _, p := range stdPackages() {
		from := filepath.Join(toolchain, "src", p)
		err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(from, path) //nolint:errcheck // it is below
			test := strings.HasSuffix(rel, "_test.go") || strings.Contains(rel, "testdata")
			if d.IsDir() || !test {
				return nil
			}
			text, err := os.ReadFile(path)
			if err == nil {
				write(t, filepath.Join(goroot, "src", p, rel), string(text))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return goroot
}

// made is the newest GOROOT of that toolchain in the cache.
func made(t *testing.T, toolchain string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("CLEW_GO_CACHE"); dir != "" {
		cache = dir
	} else {
		cache = filepath.Join(cache, "clew-go")
	}
	found, err := filepath.Glob(filepath.Join(cache, "goroot", "go*", "CLEW"))
	if err != nil {
		t.Fatal(err)
	}
	newest, when := "", int64(0)
	for _, f := range found {
		bin, err := os.Readlink(filepath.Join(filepath.Dir(f), "bin"))
		info, err2 := os.Stat(f)
		if err == nil && err2 == nil && filepath.Dir(bin) == toolchain && info.ModTime().UnixNano() > when {
			newest, when = filepath.Dir(f), info.ModTime().UnixNano()
		}
	}
	if newest == "" {
		t.Fatal("clew go has made no GOROOT")
	}
	return newest
}

// link fills a directory with links to the files of another one.
func link(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			pointed, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(pointed, target)
		}
		if os.Link(path, target) == nil {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(target, text, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func stdPackages() []string {
	var all []string
	for _, s := range stdSuites {
		all = append(all, s.packages...)
	}
	return all
}

// activate adds what clew go adds to tests.
func activate(t *testing.T, goroot string) {
	t.Helper()
	for _, p := range stdPackages() {
		name := filepath.Base(p)
		write(t, filepath.Join(goroot, "src", p, "zz_clew_auto_test.go"), fmt.Sprintf("package %s_test\n\nimport _ \"clew/auto\"\n", name))
	}
}
