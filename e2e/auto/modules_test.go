package auto_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/clewtrace/clew/e2e/internal/process"
)

// require makes the program of dir a module that requires these versions.
func require(t *testing.T, dir string, versions ...string) {
	t.Helper()
	write(t, filepath.Join(dir, "go.mod"), "module plain.example/program\n\ngo 1.25.0\n\nrequire "+strings.Join(versions, "\nrequire ")+"\n")
	cmd := exec.CommandContext(t.Context(), "go", "mod", "tidy")
	cmd.Dir = dir
	output(t, cmd)
}

// run runs a program to its end, and returns the shapes of the traces that
// arrive.
func run(t *testing.T, path string, args ...string) (traces map[string]int, stdout string) {
	t.Helper()
	c := newCollector(t)
	p := c.start(t, path, args)
	if code := p.Wait(t, limit); code != 0 {
		t.Errorf("%s ends with %d", path, code)
	}
	return shapes(c.Spans()), p.Stdout()
}

func compare(t *testing.T, got, want map[string]int) {
	t.Helper()
	for _, shape := range slices.Sorted(keys(got, want)) {
		if got[shape] != want[shape] {
			t.Errorf("%d traces, want %d: %s", got[shape], want[shape], shape)
		}
	}
}

// TestRouters names spans by the routes of chi, gin, echo and gorilla.
func TestRouters(t *testing.T) {
	dir := module(t, "routers")
	require(t, dir, "github.com/gin-gonic/gin v1.12.0", "github.com/labstack/echo/v4 v4.16.4", "github.com/gorilla/mux v1.8.1", "github.com/go-chi/chi/v5 v5.5.0")
	before := tree(t, dir)
	path := build(t, dir)
	got, _ := run(t, path)
	compare(t, got, map[string]int{
		"client GET(server GET /users/:id)":         2,
		"client GET(server GET /users/{id})":        1,
		"client GET(server GET /users/{id:[0-9]+})": 1,
	})
	if after := tree(t, dir); after != before {
		t.Errorf("the build has changed the module:\n%s\nbefore:\n%s", after, before)
	}
}

// TestProgramsOwnSpans joins a program that uses OpenTelemetry's API: its spans
// are in the same traces, and a request has one span on each side.
func TestProgramsOwnSpans(t *testing.T) {
	for _, version := range [][2]string{{"v1.47.0", "v0.72.0"}, {"v1.28.0", "v0.53.0"}} {
		t.Run(version[0], func(t *testing.T) {
			dir := module(t, "otelapi")
			require(t, dir, "go.opentelemetry.io/otel "+version[0], "go.opentelemetry.io/otel/trace "+version[0],
				"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp "+version[1])
			c := newCollector(t)
			p := c.start(t, build(t, dir), nil)
			if p.Wait(t, limit) != 0 || p.Stdout() != "map[X-End:[yes]] <nil>\n" {
				t.Errorf("the program prints %q\n%s", p.Stdout(), p.Stderr())
			}
			compare(t, shapes(c.Spans()), map[string]int{
				"client GET(server GET(internal inner(client GET(server GET)), internal without a context))": 1,
				"client GET(server GET(client HTTP GET(server GET)))":                                        1,
				"server POST": 1,
			})
			for _, s := range c.Spans() {
				if s.GetName() == "inner" && (len(s.GetAttributes()) != 2 || attribute(s, "n") != "3" || attribute(s, "m") != "2") {
					t.Errorf("the span has the attributes %v", s.GetAttributes())
				}
			}
		})
	}
}

// TestSpansAreThoseOfTheSDK compares the spans of a program with those that
// OpenTelemetry's own SDK makes of them: clew's copy of it is changed.
func TestSpansAreThoseOfTheSDK(t *testing.T) {
	dir := module(t, "spans")
	require(t, dir, "go.opentelemetry.io/otel v1.47.0", "go.opentelemetry.io/otel/trace v1.47.0", "go.opentelemetry.io/otel/sdk v1.47.0")
	path, c := build(t, dir), newCollector(t)
	limits := []string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=40", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=20", "OTEL_SPAN_EVENT_COUNT_LIMIT=6", "OTEL_SPAN_LINK_COUNT_LIMIT=2"}
	sdk := process.Start(t, path, []string{"sdk"}, append(limits, "OTEL_SDK_DISABLED=true"))
	if sdk.Wait(t, limit) != 0 || c.start(t, path, nil, limits...).Wait(t, limit) != 0 {
		t.Fatal("the program failed")
	}
	var got strings.Builder
	for _, s := range c.Spans() {
		fmt.Fprintf(&got, "%s kind=%d time=%d-%d%s dropped=%d status=%d %s\n", s.GetName(), s.GetKind(), s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano(),
			listed(s.GetAttributes()), s.GetDroppedAttributesCount(), s.GetStatus().GetCode(), s.GetStatus().GetMessage())
		for _, e := range s.GetEvents() {
			fmt.Fprintf(&got, "\tevent %s%s dropped=%d\n", e.GetName(), listed(e.GetAttributes()), e.GetDroppedAttributesCount())
		}
		for _, l := range s.GetLinks() {
			fmt.Fprintf(&got, "\tlink %x%s dropped=%d\n", l.GetTraceId(), listed(l.GetAttributes()), l.GetDroppedAttributesCount())
		}
		fmt.Fprintf(&got, "\tdropped events=%d links=%d\n", s.GetDroppedEventsCount(), s.GetDroppedLinksCount())
	}
	if want := sdk.Stdout(); got.String() != want || strings.Count(want, "span ") != 45 {
		t.Errorf("the spans are\n%s\nwant\n%s", &got, want)
	}
}

// listed is the text of attributes, in their order.
func listed(attrs []*commonpb.KeyValue) (text string) {
	for _, kv := range attrs {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_IntValue:
			text += fmt.Sprintf(" %s=%d", kv.GetKey(), v.IntValue)
		case *commonpb.AnyValue_StringValue:
			text += fmt.Sprintf(" %s=%s", kv.GetKey(), v.StringValue)
		}
	}
	return text
}

// TestProgramsOwnSDK leaves a program alone that has one: there is no span twice.
func TestProgramsOwnSDK(t *testing.T) {
	dir := module(t, "ownsdk")
	require(t, dir, "go.opentelemetry.io/otel v1.47.0", "go.opentelemetry.io/otel/sdk v1.47.0", "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.72.0")
	got, stdout := run(t, build(t, dir))
	if _, want := run(t, buildPlain(t, dir)); stdout != want || want == "" {
		t.Errorf("the program's own spans are %q, want %q", stdout, want)
	}
	compare(t, got, nil)
}

// TestVendor builds with a vendor directory, an empty module cache and no
// network for the program's modules.
func TestVendor(t *testing.T) {
	dir := module(t, "vendored")
	require(t, dir, "github.com/gorilla/mux v1.8.1")
	cmd := exec.CommandContext(t.Context(), "go", "mod", "vendor")
	cmd.Dir = dir
	output(t, cmd)
	build(t, dir) // makes the standard library
	path := filepath.Join(t.TempDir(), "program")
	cmd = clew(t, dir, "go", "build", "-mod=vendor", "-o", path, ".")
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOMODCACHE="+t.TempDir(), "GOFLAGS=-mod=vendor")
	output(t, cmd)
	got, _ := run(t, path)
	compare(t, got, map[string]int{"client GET(server GET /users/{id:[0-9]+})": 1})
}

// tree lists the files of a directory with their sizes and times.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
