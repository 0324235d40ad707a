package conformance

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Other programs can be put in the place of the one here, to be compared:
//
//	go test -run TestProgram . -args -program=FILE -report=FILE
var (
	programFile = flag.String("program", "", "the `file` of a program that runs package workload")
	reportFile  = flag.String("report", "", "the `file` to write what TestProgram counts to")
)

func binary() string {
	if *programFile != "" {
		return *programFile
	}
	return os.Args[0]
}

// Counts is what bench/setup reads.
type counts struct {
	Variables, Honoured int      // that do what the rows say
	Failed              []string // the others
	BadValues, Reported int      // bad values, and those of which the program says a word
	Died                []string // bad values that end the program, or keep it from ending
}

// beyondSpecification are names that this project adds.
var beyondSpecification = []string{"probability", "adaptive", "rules"}

// says reports whether text has value as a word, in quotes or not.
func says(text, value string) bool {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n\t\"'`,;:()", r) }) {
		if strings.Trim(word, "\\.") == value {
			return true
		}
	}
	return strings.Contains(text, strconv.Quote(value))
}

// TestProgram counts what a program does with the variables of the specification.
func TestProgram(t *testing.T) {
	if *programFile == "" || *reportFile == "" {
		t.Skip("no program to count for")
	}
	var c counts
	var mu sync.Mutex
	failed, seen := map[string]bool{}, map[string]bool{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows() {
			if r.file != "" || slices.Contains(beyondSpecification, strings.TrimPrefix(r.value, "parentbased_")) {
				continue
			}
			seen[r.variable] = true
			t.Run(r.variable+"="+r.value, func(t *testing.T) {
				t.Parallel()
				out := r.run(t)
				if got := r.look(out); got != r.want && got != r.stock {
					t.Logf("got  %s\nwant %s", got, r.want)
					mu.Lock()
					defer mu.Unlock()
					failed[r.variable] = true
				}
			})
		}
	})
	c.Variables, c.Honoured = len(seen), len(seen)-len(failed)
	for name := range failed {
		c.Failed = append(c.Failed, name)
	}
	slices.Sort(c.Failed)
	t.Run("bad values", func(t *testing.T) {
		for _, v := range slices.Concat(badVariables(), badGeneral(), badEndpoints()) {
			for _, value := range badValues {
				if v.takes(value) {
					continue
				}
				t.Run(v.name+"="+strconv.Quote(value), func(t *testing.T) {
					t.Parallel()
					out := row{variable: v.name, value: value}.run(t)
					mu.Lock()
					defer mu.Unlock()
					c.BadValues++
					if strings.Contains(out.stderr, v.name) || says(out.stderr, value) {
						c.Reported++
					}
					if out.code != 0 {
						c.Died = append(c.Died, v.name+"="+value)
					}
				})
			}
		}
	})
	slices.Sort(c.Died)
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*reportFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
