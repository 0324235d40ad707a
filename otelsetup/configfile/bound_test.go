package configfile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clewtrace/clew/otelsetup"
)

// TestFilesThatAreTooLarge: what a file can make the program take has a bound,
// which the problem says; the program runs.
func TestFilesThatAreTooLarge(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		fmt.Fprintf(&bomb, "a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	for name, test := range map[string]struct{ text, want string }{
		"many bytes":         {"file_format: \"1.0\"\n#" + strings.Repeat("x", 1<<20), "larger than 1048576 bytes"},
		"aliases of aliases": {"file_format: \"1.0\"\n" + bomb.String(), "more than 100000 values"},
		"a value in itself":  {"file_format: \"1.0\"\na: &a [*a, *a]\n", "file of the declarative configuration"},
		"endless":            {"", "larger than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "otel.yaml")
			if name == "endless" {
				file = "/dev/zero"
				if _, err := os.Stat(file); err != nil {
					t.Skip(err)
				}
			} else if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("OTEL_CONFIG_FILE", file)
			telemetry, err := otelsetup.Start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := telemetry.Report().Problems; len(got) != 1 || !strings.Contains(got[0].String(), test.want) {
				t.Errorf("got %.300v, want %q", got, test.want)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			telemetry.Shutdown(ctx) //nolint:errcheck // nobody receives
		})
	}
}
