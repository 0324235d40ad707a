package auto_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// stdPackages have hooks, or behaviour that the scopes touch.
var stdPackages = []string{
	"context", "database/sql", "log", "log/slog", "net/http", "net/http/httptest", "net/http/httputil", "os/signal", "runtime", "time",
}

// notTested are tests that need GDB, a C profiler or the playground.
const notTested = "Pprof|^TestGdb|^TestFakeTime$"

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
	goroot := withTests(t, stdPackages)
	t.Run("hooks nil", func(t *testing.T) { testStd(t, goroot, stdPackages, "hooks nil") })
	t.Run("hooks active", func(t *testing.T) { testStd(t, goroot, stdPackages, "hooks active") })
}

func testStd(t *testing.T, goroot string, packages []string, hooks string) {
	t.Helper()
	c := newCollector(t)
	env := append(os.Environ(), "GOROOT="+goroot, "GOTOOLCHAIN=local", "GOFLAGS=", "OTEL_SDK_DISABLED="+strconv.FormatBool(hooks == "hooks nil"))
	checkStd(t, packages, runStd(t, goroot, packages, append(env, c.env...)), allowed[hooks])
	if got, want := len(c.Spans()) > 1000, hooks == "hooks active"; got != want {
		t.Errorf("%d spans arrive", len(c.Spans()))
	}
}

// runStd returns what go test says.
func runStd(t *testing.T, goroot string, packages, env []string) string {
	t.Helper()
	path, err := clewCommand()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1", "-short", "-vet=off", "-skip=" + notTested, "-toolexec='" + path + "' go-toolexec '" + goroot + "' ="}
	cmd := exec.CommandContext(t.Context(), filepath.Join(goroot, "bin", "go"), append(args, packages...)...)
	cmd.Dir = filepath.Join(goroot, "src")
	cmd.Env = env
	out, _ := cmd.CombinedOutput() //nolint:errcheck // the output says it
	return string(out)
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// checkStd looks for tests that fail and may not, and for packages whose tests
// have not come to their end.
func checkStd(t *testing.T, packages []string, out string, allowed map[string]string) {
	t.Helper()
	wrong := wrongIn(packages, out, allowed)
	for _, w := range wrong {
		t.Error(w)
	}
	if len(wrong) > 0 {
		t.Error(out)
	}
}

func wrongIn(packages []string, out string, allowed map[string]string) (wrong []string) {
	ended, reported := 0, false
	for line := range strings.SplitSeq(out, "\n") {
		switch {
		case line == "FAIL": // by the tests themselves
			reported = true
		case strings.HasPrefix(line, "ok  \t"), strings.HasPrefix(line, "FAIL\t") && reported:
			ended++
			reported = false
		case strings.HasPrefix(line, "FAIL\t"):
			wrong = append(wrong, "a package has not come to its end: "+line)
		case strings.HasPrefix(line, "panic: "):
			wrong = append(wrong, line)
		}
	}
	if ended != len(packages) {
		wrong = append(wrong, fmt.Sprintf("%d packages of %d have come to their end", ended, len(packages)))
	}
	for _, m := range failed.FindAllStringSubmatch(out, -1) {
		if test, _, _ := strings.Cut(m[1], "/"); allowed[test] == "" {
			wrong = append(wrong, m[1]+" fails")
		}
	}
	return wrong
}

// TestCrashesAreNotAllowed gives checkStd what go test says of tests that crash
// while another package has a failure that is allowed.
func TestCrashesAreNotAllowed(t *testing.T) {
	const sizeof = "--- FAIL: TestSizeof (0.00s)\nFAIL\nFAIL\truntime\t9.0s\n"
	allowed := map[string]string{"TestSizeof": pointer}
	for out, want := range map[string]int{
		"ok  \ttime\t1.0s\n" + sizeof + "FAIL\n": 0,
		"fatal error: concurrent map writes\n\ngoroutine 1 [running]:\nFAIL\ttime\t1.0s\n" + sizeof + "FAIL\n": 2,
		sizeof + "signal: killed\nFAIL\ttime\t1.0s\nFAIL\n":                                                    2,
		"FAIL\ttime [build failed]\n" + sizeof + "FAIL\n":                                                      2,
		sizeof + "FAIL\n": 1,
		"--- FAIL: TestTicker (0.00s)\nFAIL\nFAIL\ttime\t1.0s\n" + sizeof + "FAIL\n": 1,
	} {
		if wrong := wrongIn([]string{"time", "runtime"}, out, allowed); len(wrong) != want {
			t.Errorf("%q: %q, want %d", out, wrong, want)
		}
	}
}

// withTests is the GOROOT that clew go has made, with the tests of the packages,
// each of which has what clew go adds to tests.
func withTests(t *testing.T, packages []string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles the tests of the standard library")
	}
	build(t, module(t, "exits")) // makes it
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	toolchain, goroot := strings.TrimSpace(string(out)), t.TempDir()
	link(t, made(t, toolchain), goroot)
	for _, p := range packages {
		write(t, filepath.Join(goroot, "src", p, "zz_clew_auto_test.go"), "package "+filepath.Base(p)+"_test\n\nimport _ \"clew/auto\"\n")
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
