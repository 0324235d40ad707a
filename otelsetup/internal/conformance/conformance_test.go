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
		if !r.contrib {
			t.Run(r.variable+"="+r.value, r.check)
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s |\n", r.variable, shown(r), r.want)
	}
	writeTable(t, "conformance", table.String())
}

// TestContribVariables is the part of [TestEveryVariable] that needs a program
// with packages of the module contrib. A test of that module builds one and runs
// this test with it.
func TestContribVariables(t *testing.T) {
	if *programFile == "" {
		t.Skip("run by the tests of the module contrib")
	}
	for _, r := range rows() {
		if r.contrib {
			t.Run(r.variable+"="+r.value, r.check)
		}
	}
	checkBad(t, []badVariable{
		{"OTEL_EXPORTER_ZIPKIN_ENDPOINT", "must be a URL such as ", "http://localhost:9411/api/v2/spans"},
		{"OTEL_EXPORTER_ZIPKIN_TIMEOUT", duration, "10000"},
	}, "70000000000", "traces, metrics, logs", "OTEL_TRACES_EXPORTER=otlp,zipkin")
}

func (r row) check(t *testing.T) {
	t.Parallel()
	out := r.run(t)
	if got := r.look(out); got != r.want {
		t.Errorf("got  %s\nwant %s\nexit code %d, printed\n%s", got, r.want, out.code, out.stderr)
	}
}

func shown(r row) string {
	fill := strings.NewReplacer("{url}", "http://collector:4318", "{host}", "collector:4318",
		"{ca}", "ca.pem", "{cert}", "client.pem", "{key}", "client-key.pem",
		"{grpc}", "collector:4317", "{rules}", "rules.yaml", "{port}", "9090", "{config}", "otel.yaml", "{socket}", "/run/otel.sock")
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
