package interop_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

const (
	nodeVersion   = "22.23.3" // OpenTelemetry JS asks for 22.15 or newer, which the user's may not be
	nodeSDK       = "0.301.0"
	nodeJSRelease = "otel-js-" + nodeSDK
)

// Why things are lost in JavaScript.
const (
	jsFlags = "OpenTelemetry JS writes `00` or `01` for the flags, whatever they were. So in 1.0.0 of its packages and in 0.301.0."
	jsKeys  = "OpenTelemetry JS leaves out members whose key is not of Level 1, and keeps the others. So in 1.0.0 of its packages and in 0.301.0."
)

// nodePackage is the npm package that holds the program for this machine.
func nodePackage(t *testing.T) string {
	t.Helper()
	arch, ok := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if !ok || runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("no npm package of Node for", runtime.GOOS, runtime.GOARCH)
	}
	return "node-" + runtime.GOOS + "-" + arch
}

func TestOpenTelemetryJS(t *testing.T) {
	tb := newTable(t, "js")
	node := nodePackage(t)
	modules := npmInstall(t, nodeJSRelease, "@opentelemetry/sdk-node@"+nodeSDK, "@opentelemetry/instrumentation-http@"+nodeSDK,
		"@opentelemetry/api@1.10.0", node+"@"+nodeVersion)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/node")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	h.shared = true
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(modules, node, "bin", "node"), filepath.Join(dir, "service.cjs"))
	cmd.Env = []string{
		"HOME=" + dir, "OTEL_EXPORTER_OTLP_ENDPOINT=" + h.storeURL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_SERVICE_NAME=js", "OTEL_BSP_SCHEDULE_DELAY=50", "OTEL_METRICS_EXPORTER=none", "OTEL_LOGS_EXPORTER=none",
		"OTEL_NODE_RESOURCE_DETECTORS=none",
	}
	theirs := firstLine(t, cmd)
	const who, version = "OpenTelemetry JS", nodeSDK + " on Node " + nodeVersion
	tb.add(t, who, version, "ours → theirs → ours", h.through(t, theirs), losses{randomFlag: jsFlags, levelTwoKeys: jsKeys})
	tb.add(t, who, version, "theirs → ours → theirs", h.back(t, theirs), nil)
}
