// Package docs has no code of its own: its tests hold the documents to the
// files, functions and programs that they name.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is a link of Markdown to a file of the repository, without its anchor.
var link = regexp.MustCompile(`\]\(([^):#\s]+)(?:#[^)\s]*)?\)`)

// TestLinksLeadToFiles looks up what the documents link to.
func TestLinksLeadToFiles(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}

// named is a name and the file in which it is declared: `name` in [`file`](path).
var named = regexp.MustCompile("`(\\w+)` in\\s+\\[`[^`]+`\\]\\(([^)]+\\.go)\\)")

// TestNamesAreDeclared looks up what architecture.md says is in a file.
func TestNamesAreDeclared(t *testing.T) {
	found := named.FindAllStringSubmatch(read(t, "architecture.md"), -1)
	if len(found) < 20 {
		t.Errorf("%d names found, want more", len(found))
	}
	for _, m := range found {
		if !slices.Contains(declared(t, m[2]), m[1]) {
			t.Errorf("%s declares no %s", m[2], m[1])
		}
	}
}

// declared returns the functions, methods, types, variables and constants of a
// file.
func declared(t *testing.T, path string) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return nil
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

// shown is a block of code and the file that has it: [`file`](path), an empty
// line, then the block.
var shown = regexp.MustCompile("\\[`[^`]+`\\]\\(([^)]+\\.go)\\):?\n\n```go\n((?s:.*?))```\n")

// TestProgramsAreShown compares the code in migrating.md with the programs that
// the compiler sees.
func TestProgramsAreShown(t *testing.T) {
	const page = "migrating.md"
	text := read(t, page)
	found := shown.FindAllStringSubmatch(text, -1)
	if blocks := strings.Count(text, "```go\n"); len(found) != blocks || blocks == 0 {
		t.Errorf("%d of %d blocks name a file", len(found), blocks)
	}
	for _, m := range found {
		_, code, ok := strings.Cut(read(t, m[1]), "// begin\n")
		code, _, closed := strings.Cut(code, "\n// end\n")
		if !ok || !closed {
			t.Errorf("%s has no lines // begin and // end", m[1])
		} else if code != m[2] {
			t.Errorf("%s shows of %s\n%s\nwant\n%s", page, m[1], m[2], code)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
