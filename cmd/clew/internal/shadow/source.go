package shadow

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
)

// source is a Go file that is being patched. Text is put between its bytes, on
// lines that are there already, so that every line keeps its number and nothing
// of the file is printed anew.
type source struct {
	name  string // as in messages: net/http/server.go
	text  []byte
	fset  *token.FileSet
	file  *ast.File
	edits []edit
}

type edit struct {
	from, to int
	text     string
}

// PlaceError says that a place in a file is not what a patch expects.
type PlaceError struct {
	File  string // net/http/server.go
	Where string // the function, or "the file"
	Want  string // what had to be there once
}

func (m *PlaceError) Error() string { return m.File + ": " + m.Where + ": expected " + m.Want }

// inFile is the Where of a mismatch that is in no function.
const inFile = "the file"

func readSource(path, name string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &PlaceError{name, inFile, "to be there: " + err.Error()}
	}
	return parseSource(name, text)
}

func parseSource(name string, text []byte) (*source, error) {
	s := &source{name: name, text: text, fset: token.NewFileSet()}
	var err error
	s.file, err = parser.ParseFile(s.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, &PlaceError{name, inFile, "to be Go: " + err.Error()}
	}
	return s, nil
}

func (s *source) offset(p token.Pos) int { return s.fset.Position(p).Offset }

// print is n in the form of gofmt, which is what patches are compared with.
func (s *source) print(n any) string {
	var b bytes.Buffer
	if err := format.Node(&b, s.fset, n); err != nil {
		return "" // equal to nothing that a patch looks for
	}
	return b.String()
}

// signature is "func (t *Transport) RoundTrip(req *Request) (*Response, error)".
func (s *source) signature(f *ast.FuncDecl) string {
	head := *f
	head.Body, head.Doc = nil, nil
	return s.print(&head)
}

// function finds the function with exactly this signature.
func (s *source) function(signature string) (*ast.FuncDecl, error) {
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil && s.signature(f) == signature {
			return f, nil
		}
	}
	return nil, &PlaceError{s.name, inFile, signature}
}

// statement finds the one statement of a function that is written like this.
func (s *source) statement(signature, text string) (ast.Stmt, error) {
	f, err := s.function(signature)
	if err != nil {
		return nil, err
	}
	var found []ast.Stmt
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if st, ok := n.(ast.Stmt); ok && s.print(st) == text {
			found = append(found, st)
			return false
		}
		return true
	})
	if len(found) != 1 {
		return nil, &PlaceError{s.name, signature, fmt.Sprintf("the statement %q once, found it %d times", text, len(found))}
	}
	return found[0], nil
}

// structType finds a struct by the name of its type.
func (s *source) structType(name string) (*ast.StructType, error) {
	var found *ast.StructType
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range g.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok && t.Name.Name == name {
				found, _ = t.Type.(*ast.StructType)
			}
		}
	}
	if found == nil || len(found.Fields.List) == 0 {
		return nil, &PlaceError{s.name, inFile, "type " + name + " struct, with a field"}
	}
	return found, nil
}

func (s *source) insert(at token.Pos, text string) {
	s.edits = append(s.edits, edit{s.offset(at), s.offset(at), text})
}

func (s *source) replace(n ast.Node, text string) {
	s.edits = append(s.edits, edit{s.offset(n.Pos()), s.offset(n.End()), text})
}

// result is the file with its edits. It has as many lines as before.
func (s *source) result() ([]byte, error) {
	slices.SortStableFunc(s.edits, func(a, b edit) int { return a.from - b.from })
	var b bytes.Buffer
	at := 0
	for _, e := range s.edits {
		if e.from < at || strings.Contains(e.text, "\n") {
			return nil, fmt.Errorf("%s: the edit %q overlaps another one or has a line break", s.name, e.text)
		}
		b.Write(s.text[at:e.from])
		b.WriteString(e.text)
		at = e.to
	}
	b.Write(s.text[at:])
	if _, err := parser.ParseFile(token.NewFileSet(), s.name, b.Bytes(), parser.SkipObjectResolution); err != nil {
		return nil, fmt.Errorf("%s does not parse with its patches: %w", s.name, err)
	}
	return b.Bytes(), nil
}
