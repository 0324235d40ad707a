package auto_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/clewtrace/clew/e2e/internal/process"
	"github.com/clewtrace/clew/internal/otlpreceiver"
)

// The versions of grpc that programs are tried with.
const (
	newGRPC = "v1.85.0"
	midGRPC = "v1.72.2"
	oldGRPC = "v1.60.1"
)

// grpcModule is the program of testdata/grpc with a version of grpc.
func grpcModule(t *testing.T, version string) (dir string) {
	t.Helper()
	dir = module(t, "grpc")
	dial := "NewClient"
	if version == oldGRPC {
		dial = "Dial"
	}
	write(t, filepath.Join(dir, "dial.go"), "package main\n\nimport \"google.golang.org/grpc\"\n\nvar dial = grpc."+dial+"\n")
	require(t, dir, "google.golang.org/grpc "+version)
	return dir
}

const (
	testService = "grpc.testing.TestService/"
	unaryCall   = "client " + testService + "UnaryCall(server " + testService + "UnaryCall"
)

// TestGRPC calls over gRPC in many ways, by versions of grpc from different
// years: each call has one span on each side, in the trace that it belongs to.
func TestGRPC(t *testing.T) {
	for _, version := range []string{newGRPC, midGRPC, oldGRPC} {
		t.Run(version, func(t *testing.T) {
			dir := grpcModule(t, version)
			before := tree(t, dir)
			path := build(t, dir)
			for mode, want := range map[string]map[string]int{
				"unary": {
					unaryCall + "(client GET(server GET /chain(client " + testService + "EmptyCall(server " + testService + "EmptyCall)))))": 1,
					unaryCall + ")":                                    5,
					"client " + testService + "UnaryCall":              1, // of a server that is not there
					"client " + testService + "Nothing(server _OTHER)": 1,
				},
				"streams": {
					"client " + testService + "StreamingOutputCall(server " + testService + "StreamingOutputCall(client GET(server GET /)))": 1,
					"client " + testService + "FullDuplexCall(server " + testService + "FullDuplexCall)":                                     1,
				},
				"probes":  {},
				"workers": {unaryCall + "(client GET(server GET /)))": 3},
				"h2c":     {unaryCall + "(client GET(server GET /)))": 2, "client GET(server GET /page/{id})": 1},
				"nethttp": {unaryCall + "(client GET(server GET /)))": 2, unaryCall + ")": 2},
			} {
				t.Run(mode, func(t *testing.T) { checkGRPC(t, path, mode, want) })
			}
			if after := tree(t, dir); after != before {
				t.Errorf("the build has changed the module:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// checkGRPC runs the program, and compares its traces, and its output with that
// of the same program with telemetry disabled.
func checkGRPC(t *testing.T, path, mode string, want map[string]int) {
	t.Helper()
	c := newCollector(t)
	p := c.start(t, path, []string{mode})
	plain := c.start(t, path, []string{mode}, "OTEL_SDK_DISABLED=true")
	if code := p.Wait(t, limit); code != 0 {
		t.Errorf("the program ends with %d", code)
	}
	if code := plain.Wait(t, limit); code != 0 || plain.Stdout() != p.Stdout() || p.Stdout() == "" {
		t.Errorf("output:\n%s\nwith telemetry disabled (exit code %d):\n%s", p.Stdout(), code, plain.Stdout())
	}
	compare(t, shapes(c.Spans()), want)
	outcomes := map[string]int{}
	for _, s := range c.Spans() {
		checkCall(t, s, mode)
		if code := attribute(s, "rpc.response.status_code"); code != "" {
			outcomes[fmt.Sprint(strings.ToLower(s.GetKind().String()[len("SPAN_KIND_"):]), " ", code, ": ", s.GetStatus().GetMessage())]++
		}
	}
	if mode == "unary" {
		compare(t, outcomes, map[string]int{
			"client OK: ": 3, "server OK: ": 3,
			"client NOT_FOUND: asked for": 1, "server NOT_FOUND: ": 1,
			"client INTERNAL: asked for": 1, "server INTERNAL: asked for": 1,
			"client CODE(77): asked for": 1, "server CODE(77): ": 1,
			"client UNIMPLEMENTED: unknown method Nothing for service grpc.testing.TestService": 1, "server UNIMPLEMENTED: unknown method": 1,
			"client DEADLINE_EXCEEDED: asked for": 1, "server DEADLINE_EXCEEDED: asked for": 1,
			"client UNAVAILABLE: " + refusal(c.Spans()): 1,
		})
	}
	for _, l := range c.Logs() {
		if len(l.GetSpanId()) == 0 && !strings.HasPrefix(l.GetBody().GetStringValue(), "WARNING: [core]") {
			t.Errorf("the log record %q has no span", l.GetBody().GetStringValue())
		}
	}
}

func attribute(s otlpreceiver.Span, key string) string {
	v := otlpreceiver.Attribute(s.GetAttributes(), key)
	if n := v.GetIntValue(); n != 0 {
		return strconv.FormatInt(n, 10)
	}
	return v.GetStringValue()
}

// refusal is what grpc says of a server that is not there, in words that differ.
func refusal(spans []otlpreceiver.Span) string {
	for _, s := range spans {
		if attribute(s, "rpc.response.status_code") == "UNAVAILABLE" && strings.Contains(s.GetStatus().GetMessage(), "connection refused") {
			return s.GetStatus().GetMessage()
		}
	}
	return "connection refused"
}

// checkCall holds that a span of a call has the attributes of the conventions.
func checkCall(t *testing.T, s otlpreceiver.Span, mode string) {
	t.Helper()
	method := attribute(s, "rpc.method")
	if method == "" {
		return
	}
	code := attribute(s, "rpc.response.status_code")
	failed := s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR
	ids := attribute(s, "rpc.system.name") == "grpc" && method == s.GetName() && (method == "_OTHER") == (attribute(s, "rpc.method_original") == testService+"Nothing")
	address := attribute(s, "server.address") == "127.0.0.1" && attribute(s, "server.port") != ""
	if !ids || !address || code == "" || failed != (attribute(s, "error.type") != "") {
		t.Errorf("%s: the span %s has the status %v and the attributes %v", mode, s.GetName(), s.GetStatus(), s.GetAttributes())
	}
}

// TestAbandonedCalls ends the spans of a stream with its context, when nobody
// asks for the end of the stream, and those of a call with its deadline.
func TestAbandonedCalls(t *testing.T) {
	c := newCollector(t)
	p := c.start(t, build(t, grpcModule(t, newGRPC)), []string{"abandoned"}, "OTEL_BSP_SCHEDULE_DELAY=50")
	want := []string{
		"SPAN_KIND_CLIENT CANCELLED", "SPAN_KIND_CLIENT DEADLINE_EXCEEDED", "SPAN_KIND_SERVER CANCELLED", "SPAN_KIND_SERVER CANCELLED",
	}
	process.Eventually(t, limit, func() error {
		var got []string
		for _, s := range c.Spans() {
			got = append(got, s.GetKind().String()+" "+attribute(s, "rpc.response.status_code"))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			return fmt.Errorf("spans: %v", got)
		}
		return nil
	})
	terminate(t, p)
}

// TestGRPCHandlerPanics is the plain program's end, and the span says why.
func TestGRPCHandlerPanics(t *testing.T) {
	dir := grpcModule(t, newGRPC)
	path := build(t, dir)
	c := newCollector(t)
	p := c.start(t, path, []string{"panic"})
	plain := process.Start(t, path, []string{"panic"}, []string{"OTEL_SDK_DISABLED=true"})
	if got, want := p.Wait(t, limit), plain.Wait(t, limit); got != want || want != 2 || !strings.HasPrefix(p.Stderr(), "panic: boom\n") {
		t.Errorf("exit code %d, plain %d\n%s", got, want, p.Stderr())
	}
	for _, s := range c.Spans() {
		if s.GetKind() != tracepb.Span_SPAN_KIND_SERVER {
			continue
		}
		if s.GetStatus().GetMessage() != "panic: boom" || attribute(s, "error.type") != "*errors.errorString" || len(s.GetEvents()) != 1 {
			t.Errorf("the span is %v", s)
		}
		for _, l := range c.Logs() {
			if l.GetBody().GetStringValue() != "panic: boom" || string(l.GetSpanId()) != string(s.GetSpanId()) {
				t.Errorf("log record %v", l)
			}
		}
		return
	}
	t.Error("the server has no span")
}

// TestManyCalls makes calls at the same time, each of which has three goroutines
// that make requests, under the race detector.
func TestManyCalls(t *testing.T) {
	const calls = 1000
	path := build(t, grpcModule(t, newGRPC), "-race")
	c := newCollector(t)
	p := c.start(t, path, []string{"many", strconv.Itoa(calls)})
	if p.Wait(t, 3*limit) != 0 || strings.Contains(p.Stderr(), "DATA RACE") {
		t.Fatalf("the program failed:\n%s", p.Stderr())
	}
	const up = "client GET(server GET /)"
	compare(t, shapes(c.Spans()), map[string]int{unaryCall + "(" + up + ", " + up + ", " + up + "))": calls})
}

// grpcInstrumentations are the ways in which programs use otelgrpc.
var grpcInstrumentations = map[string]struct {
	grpc, otel, otelgrpc string
	server, client       string
}{
	"stats handler": {newGRPC, "v1.47.0", "v0.72.0", "grpc.StatsHandler(otelgrpc.NewServerHandler())", "grpc.WithStatsHandler(otelgrpc.NewClientHandler())"},
	"interceptors": {
		midGRPC, "v1.28.0", "v0.53.0", "grpc.UnaryInterceptor(otelgrpc.UnaryServerInterceptor())",
		"grpc.WithUnaryInterceptor(otelgrpc.UnaryClientInterceptor())",
	},
}

// TestOwnGRPCInstrumentation makes no span twice, and none in a program with an
// SDK.
func TestOwnGRPCInstrumentation(t *testing.T) {
	for name, i := range grpcInstrumentations {
		t.Run(name, func(t *testing.T) {
			dir := module(t, "grpcotel")
			write(t, filepath.Join(dir, "options.go"), "package main\n\nimport (\n\t\"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc\"\n\t\"google.golang.org/grpc\"\n)\n\n"+
				"func serverOption() grpc.ServerOption { return "+i.server+" }\nfunc clientOption() grpc.DialOption { return "+i.client+" }\n")
			require(t, dir, "google.golang.org/grpc "+i.grpc, "go.opentelemetry.io/otel "+i.otel, "go.opentelemetry.io/otel/sdk "+i.otel,
				"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc "+i.otelgrpc)
			path := build(t, dir)
			got, _ := run(t, path, "api")
			compare(t, got, map[string]int{"client " + testService + "EmptyCall(server " + testService + "EmptyCall(internal inner))": 1})
			got, stdout := run(t, path, "sdk")
			compare(t, got, nil)
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			slices.Sort(lines)
			if want := []string{"<nil>", "client " + testService + "EmptyCall", "internal inner", "server " + testService + "EmptyCall"}; !slices.Equal(lines, want) {
				t.Errorf("the program's own spans are %q, want %q", lines, want)
			}
		})
	}
}

// TestGRPCThatDoesNotFit is compiled as it is, with a warning.
func TestGRPCThatDoesNotFit(t *testing.T) {
	dir := grpcModule(t, newGRPC)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/grpc")
	cmd.Dir = dir
	source := filepath.Join(t.TempDir(), "grpc")
	if err := os.CopyFS(source, os.DirFS(strings.TrimSpace(output(t, cmd)))); err != nil {
		t.Fatal(err)
	}
	cmd = exec.CommandContext(t.Context(), "go", "mod", "edit", "-replace=google.golang.org/grpc="+source)
	cmd.Dir = dir
	output(t, cmd)
	for name, change := range map[string]struct{ old, new, warning string }{
		"another signature": {
			"func NewServer(opt ...ServerOption) *Server {", "func NewServer(opt ...ServerOption) (made *Server) {",
			"clew go: google.golang.org/grpc has no spans of its calls: server.go: the file: expected func NewServer(opt ...ServerOption) *Server",
		},
		"another field": {"unaryInt", "unary", "clew go: google.golang.org/grpc has no spans of its calls: it does not compile with the patch"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(source, "server.go")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, 0o600); err != nil {
				t.Fatal(err)
			}
			write(t, file, strings.ReplaceAll(string(text), change.old, change.new))
			defer write(t, file, string(text))
			path := filepath.Join(t.TempDir(), "program")
			if out := output(t, clew(t, dir, "go", "build", "-o", path, ".")); !strings.Contains(out, change.warning) {
				t.Errorf("clew go says:\n%s", out)
			}
			got, _ := run(t, path, "workers")
			compare(t, got, map[string]int{"client GET(server GET /)": 3})
		})
	}
}

// TestGRPCInterop runs the programs by which implementations of gRPC are
// compared, as they are published.
func TestGRPCInterop(t *testing.T) {
	dir := thirdParty{module: "google.golang.org/grpc", version: newGRPC}.source(t)
	programs := t.TempDir()
	output(t, clew(t, dir, "go", "build", "-o", programs, "./interop/client", "./interop/server"))
	c := newCollector(t)
	_, port, _ := strings.Cut(process.FreeAddrs(t, 1)[0], ":")
	server := c.start(t, filepath.Join(programs, "server"), []string{"-port", port})
	for _, test := range []string{
		"large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "cancel_after_first_response",
		"status_code_and_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
	} {
		if code := c.start(t, filepath.Join(programs, "client"), []string{"-server_port", port, "-test_case", test}).Wait(t, limit); code != 0 {
			t.Errorf("%s ends with %d", test, code)
		}
	}
	terminate(t, server)
	compare(t, shapes(c.Spans()), map[string]int{
		unaryCall + ")": 3,
		"client " + testService + "StreamingInputCall(server " + testService + "StreamingInputCall)":   1,
		"client " + testService + "StreamingOutputCall(server " + testService + "StreamingOutputCall)": 1,
		"client " + testService + "FullDuplexCall(server " + testService + "FullDuplexCall)":           5,
		"client " + testService + "UnimplementedCall(server " + testService + "UnimplementedCall)":     1,
		"client grpc.testing.UnimplementedService/UnimplementedCall(server _OTHER)":                    1,
	})
}
