package conformance

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables into "+document)

const document = "../../../docs/environment.md"

// TestEveryVariable runs the program once for each row. The table in the docs
// says the same.
func TestEveryVariable(t *testing.T) {
	var table strings.Builder
	table.WriteString("| variable | value | what arrived |\n|---|---|---|\n")
	for _, r := range rows() {
		t.Run(r.variable+"="+r.value, func(t *testing.T) {
			t.Parallel()
			out := r.run(t)
			if got := r.look(out); got != r.want {
				t.Errorf("got  %s\nwant %s\nexit code %d, printed\n%s", got, r.want, out.code, out.stderr)
			}
		})
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.variable, shown(r), r.want)
	}
	writeTable(t, "conformance", table.String())
}

func shown(r row) string {
	fill := strings.NewReplacer("{url}", "http://collector:4318", "{host}", "collector:4318",
		"{ca}", "ca.pem", "{cert}", "client.pem", "{key}", "client-key.pem",
		"{grpc}", "collector:4317", "{rules}", "rules.yaml", "{port}", "9090", "{config}", "otel.yaml")
	s := "`" + fill.Replace(r.value) + "`"
	if r.value == "" {
		s = "(empty)"
	}
	if r.note != "" {
		s += " (" + fill.Replace(r.note) + ")"
	}
	return s
}

// writeTable puts a table between its marks in the document, or compares.
func writeTable(t *testing.T, mark, table string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- begin "+mark+" -->\n", "<!-- end "+mark+" -->"
	before, rest, ok := strings.Cut(string(text), begin)
	old, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %s", document, strings.TrimSpace(begin))
	}
	if !*update {
		if old != table {
			t.Errorf("the table %s is out of date: run go test -update", mark)
		}
		return
	}
	if err := os.WriteFile(document, []byte(before+begin+table+end+after), 0o644); err != nil { //nolint:gosec // documentation
		t.Fatal(err)
	}
}
