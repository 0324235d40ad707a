package release_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// older is a program that uses older versions of what the modules of this
// repository require, and of what they must not require.
const older = `module example.com/older

go 1.25.0

require (
	github.com/aws/aws-sdk-go-v2 v1.41.0
	github.com/go-logr/logr v1.4.2
	github.com/google/uuid v1.5.0
	github.com/prometheus/client_golang v1.22.0
	go.opentelemetry.io/otel v1.38.0
	go.opentelemetry.io/otel/sdk v1.38.0
	go.opentelemetry.io/otel/trace v1.38.0
	go.uber.org/goleak v1.2.1
	go.yaml.in/yaml/v3 v3.0.3
	golang.org/x/net v0.46.0
	google.golang.org/grpc v1.77.0
	google.golang.org/protobuf v1.36.9
)
`

var olderImports = []string{
	"github.com/aws/aws-sdk-go-v2/aws", "github.com/go-logr/logr", "github.com/google/uuid",
	"github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel", "go.opentelemetry.io/otel/sdk/trace",
	"go.opentelemetry.io/otel/trace", "go.uber.org/goleak", "go.yaml.in/yaml/v3", "golang.org/x/net/http/httpguts",
	"google.golang.org/grpc", "google.golang.org/protobuf/proto",
}

const document = "../../docs/modules.md"

var update = flag.Bool("update", false, "write the table of "+document)

// TestModulesRaise imports one package each into a program with older versions
// of everything, and looks at which versions that raises. Modules of OpenTelemetry
// require each other at one version, so a package that needs one raises all.
// What else is raised must be what those modules raise when they are required
// without this repository.
func TestModulesRaise(t *testing.T) {
	modules := released(t, "../..")
	before := newProgram(t, modules, olderImports...).versions(t)
	var table strings.Builder
	table.WriteString("| import | module | raises modules of OpenTelemetry | raises others | others that OpenTelemetry's in the module's `go.mod` raise | others that those raise of which the package imports something |\n|---|---|---|---|---|---|\n")
	for _, name := range []string{"tracecontext", "propagator", "sampler", "otelsetup", "contrib/jaegerremote"} {
		path := root + "/" + name
		home := providerOf(modules, path)
		p := newProgram(t, modules, append(slices.Clone(olderImports), path)...)
		ours, others := raised(before, p.versions(t))

		_, byOpenTelemetry := raised(before, withRequirements(t, modules, openTelemetry(modules, home)).versions(t))
		_, byNeeded := raised(before, withRequirements(t, modules, p.needed(t, path)).versions(t))
		for m, version := range others {
			if semver.Compare(version, byOpenTelemetry[m]) > 0 {
				t.Errorf("%s raises %s from %s to %s; OpenTelemetry's own modules: %q", name, m, before[m], version, byOpenTelemetry[m])
				delete(others, m)
			}
		}
		if name == "tracecontext" && len(ours)+len(others) > 0 {
			t.Errorf("tracecontext raises %v and %v, want nothing", ours, others)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %d | %d | %d | %d |\n", name, home.name(), len(ours), len(others), len(byOpenTelemetry), len(byNeeded))
		t.Logf("%s raises %s", name, strings.Join(slices.Sorted(maps.Keys(others)), " "))
	}
	compareTable(t, table.String())
}

// program is a module that uses packages of others.
type program struct{ dir string }

// newProgram makes a program with the versions of [older] that imports the
// packages, with the modules of this repository as they are here.
func newProgram(t *testing.T, modules []ourModule, imports ...string) program {
	t.Helper()
	p := program{t.TempDir()}
	var source, mod strings.Builder
	source.WriteString("package main\n\nimport (\n")
	for _, path := range imports {
		fmt.Fprintf(&source, "\t_ %q\n", path)
	}
	source.WriteString(")\n\nfunc main() {}\n")
	mod.WriteString(older)
	for _, m := range modules {
		fmt.Fprintf(&mod, "\nreplace %s => %s\n", m.path, m.dir)
	}
	for name, text := range map[string]string{"main.go": source.String(), "go.mod": mod.String()} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	runGo(t, p.dir, nil, "mod", "tidy")
	return p
}

// withRequirements makes a program with the versions of [older] that requires
// other modules as well, and nothing of this repository.
func withRequirements(t *testing.T, modules []ourModule, requirements []string) program {
	t.Helper()
	p := newProgram(t, modules, olderImports...)
	if len(requirements) > 0 {
		runGo(t, p.dir, nil, append([]string{"get"}, requirements...)...)
	}
	return p
}

// needed returns the modules of OpenTelemetry from which a package, or what it
// imports, takes packages.
func (p program) needed(t *testing.T, path string) []string {
	t.Helper()
	var all []string
	for line := range strings.Lines(runGo(t, p.dir, nil, "list", "-deps", "-f", "{{with .Module}}{{.Path}}@{{.Version}}{{end}}", path)) {
		if m := strings.TrimSpace(line); isOpenTelemetry(m) {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// versions returns the version of each module of the build list.
func (p program) versions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(runGo(t, p.dir, nil, "list", "-m", "all")) {
		if fields := strings.Fields(line); len(fields) > 1 && !isOurs(fields[0]) {
			all[fields[0]] = fields[1]
		}
	}
	return all
}

// raised returns the modules whose version is higher than before, with that
// version: those of OpenTelemetry, and the others.
func raised(before, after map[string]string) (ofOpenTelemetry, others map[string]string) {
	ofOpenTelemetry, others = map[string]string{}, map[string]string{}
	for m, version := range before {
		switch {
		case semver.Compare(after[m], version) <= 0:
		case isOpenTelemetry(m):
			ofOpenTelemetry[m] = after[m]
		default:
			others[m] = after[m]
		}
	}
	return ofOpenTelemetry, others
}

func isOpenTelemetry(path string) bool { return strings.HasPrefix(path, "go.opentelemetry.io/") }

// providerOf returns the module that has a package.
func providerOf(modules []ourModule, path string) ourModule {
	var best ourModule
	for _, m := range modules {
		if (path == m.path || strings.HasPrefix(path, m.path+"/")) && len(m.path) > len(best.path) {
			best = m
		}
	}
	return best
}

// openTelemetry returns what a module of this repository, and those that it
// requires, require of OpenTelemetry, as arguments of go get.
func openTelemetry(modules []ourModule, m ourModule) []string {
	var all []string
	for _, r := range m.file.Require {
		switch {
		case isOurs(r.Mod.Path):
			all = append(all, openTelemetry(modules, providerOf(modules, r.Mod.Path))...)
		case isOpenTelemetry(r.Mod.Path):
			all = append(all, module.Version{Path: r.Mod.Path, Version: r.Mod.Version}.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestClientsStayInContrib looks for the clients of clouds and vendors in the
// build lists of the other modules' users: a program that imports a package gets
// all that the go.mod of its module names.
func TestClientsStayInContrib(t *testing.T) {
	for _, m := range released(t, "../..") {
		if m.name() == "contrib" {
			continue
		}
		for _, r := range m.file.Require {
			for _, client := range []string{"aws", "azure", "cloud.google.com", "detectors/", "zipkin", "jaegertracing", "jaegerremote"} {
				if strings.Contains(r.Mod.Path, client) && !strings.Contains(r.Mod.Path, "/propagators/") {
					t.Errorf("%s requires %s", m.name(), r.Mod.Path)
				}
			}
		}
	}
}

// TestTracecontextWithItsOldestGo runs the tests of tracecontext with the Go
// release that its go.mod names.
func TestTracecontextWithItsOldestGo(t *testing.T) {
	m := released(t, "../..")[0]
	if len(m.file.Require) > 0 || m.name() != "tracecontext" {
		t.Fatalf("the first module is %s, with %d requirements", m.name(), len(m.file.Require))
	}
	toolchain := "GOTOOLCHAIN=go" + m.file.Go.Version + ".13"
	if got, want := runGo(t, m.dir, []string{toolchain}, "version"), "go version go"+m.file.Go.Version+"."; !strings.HasPrefix(got, want) {
		t.Fatalf("%s, want %s", got, want)
	}
	runGo(t, m.dir, []string{toolchain}, "test", "./...")
}

// TestReleasedModulesAreTested compares what "make test" covers with what is
// released.
func TestReleasedModulesAreTested(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range released(t, "../..") {
		names = append(names, m.name()+"/")
	}
	if want := "\nRELEASED := " + strings.Join(names, " ") + "\n"; !strings.Contains(string(makefile), want) {
		t.Errorf("the Makefile has no line %q", want)
	}
}

// compareTable looks for a table in the document, or writes it.
func compareTable(t *testing.T, table string) {
	t.Helper()
	const begin, end = "<!-- begin raised -->\n", "<!-- end raised -->"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	switch {
	case !opened || !closed:
		t.Errorf("%s has no place for the table", document)
	case *update:
		if err := os.WriteFile(document, []byte(before+begin+table+end+after), 0o644); err != nil { //nolint:gosec // documentation
			t.Error(err)
		}
	case old != table:
		t.Errorf("the table is out of date: run go test ./release -update in e2e. Measured:\n%s", table)
	}
}
