package clewtest

import (
	"fmt"
	"slices"
	"strings"
)

// Want compares what was recorded with an indented text and fails the test with
// a diff if they differ. A line is the name of a span, and the spans of which it
// is the parent follow, indented by two spaces more. An empty line separates
// traces. Empty lines around the text and indentation that all lines have in
// common do not count.
func (r *Recorder) Want(want string) {
	r.t.Helper()
	w, got := dedent(want), r.text()
	if w != got {
		r.t.Errorf("traces differ (- want, + got):\n%s%s", diff(lines(w), lines(got)), r.hint(got))
	}
}

// hint says where spans may be that were not recorded.
func (r *Recorder) hint(got string) string {
	switch lost := global.unclaimed(); {
	case r.global && len(lost) > 0:
		return fmt.Sprintf("spans that belong to no test, because several run and the context names none: %s; begin with Recorder.Context\n", strings.Join(lost, ", "))
	case got == "" && !r.global:
		return "nothing was recorded: the code is to use Recorder.TracerProvider, or the test the option Global\n"
	}
	return ""
}

func (r *Recorder) text() string {
	r.t.Helper()
	var texts []string
	for _, t := range r.Traces() {
		texts = append(texts, t.String())
	}
	return strings.Join(texts, "\n\n")
}

// dedent takes the empty lines around a text and its common indentation away.
func dedent(text string) string {
	lines := strings.Split(text, "\n")
	common, first := "", true
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			lines[i] = ""
			continue
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if first {
			common, first = indent, false
		}
		for !strings.HasPrefix(indent, common) {
			common = common[:len(common)-1]
		}
	}
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], common)
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// diff returns the lines of both texts, marked where they are in one of them
// only. It finds the longest common subsequence.
func diff(want, got []string) string {
	// common[i][j] is how many lines want[i:] and got[j:] have in common.
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := range slices.Backward(want) {
		for j := len(got) - 1; j >= 0; j-- {
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	i, j := 0, 0
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			b.WriteString("  " + want[i] + "\n")
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			b.WriteString("- " + want[i] + "\n")
			i++
		default:
			b.WriteString("+ " + got[j] + "\n")
			j++
		}
	}
	return b.String()
}
