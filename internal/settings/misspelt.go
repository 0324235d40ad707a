package settings

import (
	"slices"
	"strings"
)

// likeness is how many letters may differ for one name to be taken for
// another.
const likeness = 3

// Misspelt returns the variables of environ, NAME=value each, that begin with
// OTEL_ or CLEW_ and are not read: they are not in the table, and nothing that
// is plugged in has asked for them. Those that look like one of the table are
// problems; the names of the others are returned as unknown. With a
// configuration file, no OTEL_ variable is meant to be read.
func (s *Settings) Misspelt(environ []string) (problems []Problem, unknown []string) {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		upper := strings.ToUpper(name)
		ours := strings.HasPrefix(upper, "CLEW_") || s.ConfigFile == "" && strings.HasPrefix(upper, "OTEL_")
		if value == "" || !ours || known(name) || s.asked[name] {
			continue
		}
		if like := nearest(upper); like != "" {
			problems = append(problems, Problem{Name: name, Reason: "not a variable that is read; did you mean " + like + "?"})
		} else {
			unknown = append(unknown, name)
		}
	}
	return problems, unknown
}

func known(name string) bool {
	return slices.ContainsFunc(table, func(v Variable) bool { return v.Name == name })
}

// nearest returns the variable that a name was meant to be, "" if there is no
// one like it.
func nearest(name string) string {
	best, least := "", likeness+1
	for _, v := range table {
		if d := distance(name, v.Name); d < least {
			best, least = v.Name, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or change (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
