package contrib_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "github.com/clewtrace/clew/contrib/jaegerremote"
	_ "github.com/clewtrace/clew/contrib/zipkin"
	"github.com/clewtrace/clew/internal/workload"
	"github.com/clewtrace/clew/otelsetup"
)

// TestMain makes the test binary the program that the rows of the table run.
func TestMain(m *testing.M) {
	if target := os.Getenv(workload.TargetEnv); target != "" {
		otelsetup.Main(func(ctx context.Context) error { return workload.Run(ctx, target) })
	}
	os.Exit(m.Run())
}

// TestVariables runs the part of the table in docs/environment.md that needs
// packages of this module. The table, and what looks at each row, are in the
// root module.
func TestVariables(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "./otelsetup/internal/conformance", "-count=1", "-v", "-run=^TestContribVariables$", "-args", "-program="+os.Args[0]) //nolint:gosec // the file of this test
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "--- PASS: TestContribVariables/") {
		t.Errorf("%v\n%s", err, out)
	}
}
