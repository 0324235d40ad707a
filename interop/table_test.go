package interop_test

import (
	"flag"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// property is something of a trace that a hop can keep or lose.
type property int

const (
	traceID property = iota
	parentID
	sampledFlag
	randomFlag
	traceState
	levelTwoKeys
	baggageHeader
	properties // how many there are
)

var propertyNames = [properties]string{"trace id", "parent", "sampled", "random", "tracestate", "Level 2 keys", "baggage"}

// outcome says for each property whether it holds. A property that is not
// there had nothing to be kept: nobody sent any.
type outcome map[property]bool

// losses says why properties do not hold, and since when.
type losses map[property]string

// all gives one reason for several properties.
func all(reason string, lost ...property) losses {
	l := losses{}
	for _, p := range lost {
		l[p] = reason
	}
	return l
}

// table is a section of docs/interop.md: what was measured, by hop.
type table struct {
	name  string
	rows  []string
	notes []string
}

const docs = "../docs/interop.md"

// newTable compares the section with the docs, or writes it there, at the end
// of the test, if all of the test ran.
func newTable(t *testing.T, name string) *table {
	t.Helper()
	tb := &table{name: name}
	t.Cleanup(func() {
		partial := strings.Contains(flag.Lookup("test.run").Value.String(), "/")
		if t.Failed() || t.Skipped() || partial {
			return
		}
		tb.check(t)
	})
	return tb
}

// add compares what a hop kept with what it is known to lose, and adds the row.
// A loss that is no more is a failure too: then the entry has to go.
func (tb *table) add(t *testing.T, who, version, direction string, got outcome, lost losses) {
	t.Helper()
	row := []string{who, version, direction}
	for p := range properties {
		holds, sent := got[p]
		reason, expected := lost[p]
		switch {
		case !sent:
			row = append(row, "–")
			if expected {
				t.Errorf("%s, %s: %s is not sent, but expected to be lost: %s", who, direction, propertyNames[p], reason)
			}
		case holds && expected:
			t.Errorf("%s, %s: %s holds now; remove this from what is known to be lost: %s", who, direction, propertyNames[p], reason)
		case holds:
			row = append(row, "yes")
		case expected:
			row = append(row, "no ("+tb.note(reason)+")")
		default:
			t.Errorf("%s, %s: %s does not hold", who, direction, propertyNames[p])
		}
	}
	tb.rows = append(tb.rows, "| "+strings.Join(row, " | ")+" |")
}

// note returns the number of a reason.
func (tb *table) note(reason string) string {
	i := slices.Index(tb.notes, reason)
	if i < 0 {
		i = len(tb.notes)
		tb.notes = append(tb.notes, reason)
	}
	return strconv.Itoa(i + 1)
}

func (tb *table) String() string {
	var b strings.Builder
	b.WriteString("| who | version | direction | " + strings.Join(propertyNames[:], " | ") + " |\n")
	b.WriteString(strings.Repeat("|---", 3+int(properties)) + "|\n")
	for _, row := range tb.rows {
		b.WriteString(row + "\n")
	}
	for i, reason := range tb.notes {
		b.WriteString("\n" + strconv.Itoa(i+1) + ". " + reason)
	}
	if len(tb.notes) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

func (tb *table) check(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+tb.name+": generated -->\n\n", "\n<!-- end -->"
	before, rest, ok := strings.Cut(string(content), begin)
	section, after, ok2 := strings.Cut(rest, end)
	switch {
	case !ok || !ok2:
		t.Errorf("%s has no section %q", docs, strings.TrimSpace(begin))
	case *update:
		if err := os.WriteFile(docs, []byte(before+begin+tb.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	case section != tb.String():
		t.Errorf("%s is not what was measured; run go test ./... -update. Measured:\n%s", docs, tb)
	}
}

// moduleVersion returns the version of a module that the tests are built with.
func moduleVersion(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		t.Fatalf("version of %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}
