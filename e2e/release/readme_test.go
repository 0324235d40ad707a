package release_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// known are the packages of others that the README's programs use, by name.
var known = map[string]string{
	"context": "context", "http": "net/http", "netip": "net/netip", "slog": "log/slog", "errors": "errors", "fmt": "fmt", "os": "os", "time": "time",
	"otel": "go.opentelemetry.io/otel", "propagation": "go.opentelemetry.io/otel/propagation", "trace": "go.opentelemetry.io/otel/trace",
	"attribute": "go.opentelemetry.io/otel/attribute", "sdktrace": "go.opentelemetry.io/otel/sdk/trace",
}

// given are variables that the README's programs use without declaring them,
// with their types.
var given = map[string]string{
	"ctx": "context.Context", "r": "*http.Request", "mux": "*http.ServeMux", "srv": "*http.Server",
}

// vetReadme has go vet look at the Go code of README.md, in a new module.
func vetReadme(t *testing.T, env []string, modules []ourModule) {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	packages := maps.Clone(known)
	for _, m := range slices.Backward(modules) { // so that those of the root module count most but for tracecontext
		for _, p := range m.packages(t) {
			packages[path.Base(p)] = p
		}
	}
	dir := newModule(t, env)
	var imported []string
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no Go code")
	}
	for i, block := range blocks {
		source, imports := complete(block[1], packages)
		write(t, filepath.Join(dir, fmt.Sprintf("block%d", i+1), "main.go"), source)
		imported = append(imported, imports...)
	}
	slices.Sort(imported)
	for _, p := range slices.Compact(imported) {
		if isOurs(p) {
			runGo(t, dir, env, "get", p+"@"+version)
		}
	}
	runGo(t, dir, env, "vet", "./...")
}

var (
	literal  = regexp.MustCompile(`"[^"]*"|//.*`)
	selector = regexp.MustCompile(`\b([a-z]\w*)\.[A-Z]`)
	declared = regexp.MustCompile(`^([\w, ]+) :=`)
	topLevel = regexp.MustCompile(`(?m)^(package|func|type) `)
)

// complete completes a block of code to a program, and returns what it imports:
// statements become a function, and "..." the end of one.
func complete(block string, packages map[string]string) (source string, imports []string) {
	if topLevel.MatchString(block) {
		block = elided(block)
	} else {
		block = elided(function(strings.TrimSuffix(block, "...\n")) + "\t...\n}\n")
	}
	if !strings.Contains(block, "func main()") {
		block += "\nfunc main() {}\n"
	}
	for _, match := range selector.FindAllStringSubmatch(literal.ReplaceAllString(block, ""), -1) {
		if p := packages[match[1]]; p != "" && !slices.Contains(imports, p) {
			imports = append(imports, p)
		}
	}
	var b strings.Builder
	b.WriteString("package main\n\n")
	for _, p := range imports {
		fmt.Fprintf(&b, "import %s %q\n", name(packages, p), p)
	}
	return b.String() + "\n" + block, imports
}

func name(packages map[string]string, of string) string {
	for name, p := range packages {
		if p == of {
			return name
		}
	}
	return ""
}

// function begins a function around statements, with parameters for what they
// do not declare.
func function(statements string) string {
	code := literal.ReplaceAllString(statements, "")
	var parameters []string
	for _, v := range slices.Sorted(maps.Keys(given)) {
		if regexp.MustCompile(`\b`+v+`\b`).MatchString(code) && !regexp.MustCompile(`(?m)^[\w, ]*\b`+v+`\b[\w, ]* :=`).MatchString(code) {
			parameters = append(parameters, v+" "+given[v])
		}
	}
	body := "\t" + strings.ReplaceAll(strings.TrimSuffix(statements, "\n"), "\n", "\n\t") + "\n"
	return "func _(" + strings.Join(parameters, ", ") + ") error {\n" + body
}

// elided replaces each line "..." by the end of a function that uses what was
// declared before.
func elided(block string) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		indent, isElided := strings.CutSuffix(line, "...")
		if !isElided || strings.TrimSpace(indent) != "" {
			continue
		}
		end := indent + `panic("and so on")`
		for j := i - 1; j >= 0 && (lines[j] == "" || strings.HasPrefix(lines[j], indent)); j-- {
			if match := declared.FindStringSubmatch(strings.TrimPrefix(lines[j], indent)); match != nil {
				for v := range strings.SplitSeq(match[1], ", ") {
					if v != "_" {
						end = indent + "_ = " + v + "\n" + end
					}
				}
			}
		}
		lines[i] = end
	}
	return strings.Join(lines, "\n")
}
