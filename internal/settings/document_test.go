package settings_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/clewtrace/clew/internal/settings"
)

var update = flag.Bool("update", false, "write the table into "+page)

const page = "../../docs/environment.md"

// TestDocumentHasTheTable compares the table of all variables in the document
// with the one that is read by.
func TestDocumentHasTheTable(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- begin variables -->\n", "<!-- end variables -->"
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %s", page, strings.TrimSpace(begin))
	}
	var table strings.Builder
	table.WriteString("| variable | takes | default | what it sets |\n|---|---|---|---|\n")
	for _, v := range settings.Variables() {
		if isSignals(v.Name) {
			continue // as the general one
		}
		takes := string(v.Kind)
		if v.Accepted != nil {
			takes += " `" + strings.Join(v.Accepted, "`, `") + "`"
		}
		standard := ""
		if v.Default != "" {
			standard = "`" + v.Default + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", v.Name, takes, standard, v.Sentence)
	}
	switch {
	case !*update && old != table.String():
		t.Error("the table is out of date: run go test ./internal/settings -update")
	case *update:
		if err := os.WriteFile(page, []byte(before+begin+table.String()+end+after), 0o644); err != nil { //nolint:gosec // documentation
			t.Fatal(err)
		}
	}
}

// isSignals reports whether a variable is the form for one signal of a general
// one.
func isSignals(name string) bool {
	for _, signal := range []string{"TRACES_", "METRICS_", "LOGS_"} {
		rest, ok := strings.CutPrefix(name, "OTEL_EXPORTER_OTLP_"+signal)
		if ok && !strings.HasPrefix(rest, "TEMPORALITY") && !strings.HasPrefix(rest, "DEFAULT") {
			return true
		}
	}
	return false
}
