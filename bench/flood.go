package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// flood runs the benchmark of the memory of parsed tracestates, which compares
// having it with having none and so lives beside it.
func flood(s settings) (string, error) {
	out, err := exec.Command("go", "test", "-run", "^$", "-bench", "Flood", "-benchtime", strconv.Itoa(10*s.rounds)+"x", "-cpu", "1", "github.com/clewtrace/clew/propagator").CombinedOutput() //nolint:noctx // ends by itself
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	var b strings.Builder
	b.WriteString("\n## A flood of tracestates that never come back\n\n" +
		"What remembering parsed tracestates adds to Extract when it never helps, over not remembering any.\n\n" +
		"| tracestate | ns | added | required | met |\n|---|---|---|---|---|\n")
	lines := regexp.MustCompile(`BenchmarkFlood/(\d+)_members\S*\s.*?([\d.]+) ns/extract\s+(-?[\d.]+) overhead-%`).FindAllStringSubmatch(string(out), -1)
	if len(lines) == 0 {
		return "", fmt.Errorf("no result in the output of go test:\n%s", out)
	}
	for _, m := range lines {
		ns, _ := strconv.ParseFloat(m[2], 64)
		added, _ := strconv.ParseFloat(m[3], 64)
		fmt.Fprintf(&b, "| members: %s | %.0f | %.1f%% | 10%% | %s |\n", m[1], ns, added, verdict(added <= 10))
	}
	return b.String(), nil
}
