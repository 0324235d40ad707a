package stack_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The packages that TestDashboardsHaveGrafanasTypes installs.
const (
	grafanaSchema = "@grafana/schema@13.2.3"
	typeScript    = "typescript@5.9.3"
)

// TestDashboardsHaveGrafanasTypes has TypeScript's compiler compare every
// dashboard with the types that Grafana publishes. It skips where there is no npm.
func TestDashboardsHaveGrafanasTypes(t *testing.T) {
	t.Parallel()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("needs npm, to install ", grafanaSchema)
	}
	dir := t.TempDir()
	run := func(name string, args ...string) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		return cmd.CombinedOutput()
	}
	if out, err := run(npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", dir, grafanaSchema, typeScript); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	files, err := filepath.Glob("../../grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	check := func(change func(json string) string) ([]byte, error) {
		source := bytes.NewBufferString("import type { Dashboard } from '@grafana/schema';\n")
		for i, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(source, "// %s\nexport const d%d: Dashboard = %s;\n", filepath.Base(file), i, change(string(content)))
		}
		if err := os.WriteFile(filepath.Join(dir, "dashboards.ts"), source.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return run("node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--skipLibCheck",
			"--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022", "dashboards.ts")
	}
	if out, err := check(func(json string) string { return json }); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// That the compiler knows the types at all.
	for _, wrong := range [][2]string{{`"graphTooltip": 1`, `"graphTooltip": 7`}, {`"gridPos"`, `"gridpos"`}, {`"refresh": 2`, `"refresh": "2"`}} {
		out, err := check(func(json string) string { return strings.ReplaceAll(json, wrong[0], wrong[1]) })
		if err == nil {
			t.Errorf("%s passes for a dashboard:\n%s", wrong[1], out)
		}
	}
}
