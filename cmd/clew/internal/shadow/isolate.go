package shadow

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	autoPackage = "clew/auto" // what programs import
	prefix      = "clew/x/"   // of all that it needs
	autoOrigin  = modulePath + "/internal/auto"
)

// isolated are packages with import paths of the standard library.
type isolated struct {
	files  map[string][]byte // by their names below src
	inputs []string          // the files and directories in clew's own module that they come from
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	EmbedFiles []string
	Module     *struct{ Path string }
}

// isolate collects internal/auto of the module in dir, and everything that it
// imports from outside of the standard library.
func isolate(ctx context.Context, dir, goos string) (*isolated, error) {
	packages, err := dependencies(ctx, dir, goos)
	if err != nil {
		return nil, err
	}
	is := &isolated{files: map[string][]byte{}, inputs: []string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")}}
	for _, p := range packages {
		if err := is.add(p, packages); err != nil {
			return nil, err
		}
	}
	return is, is.prune()
}

// dependencies returns the packages that are not of the standard library.
func dependencies(ctx context.Context, dir, goos string) (map[string]listed, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=ImportPath,Dir,Standard,EmbedFiles,Module", autoOrigin)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=0", "GOOS="+goos)
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	packages := map[string]listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var l listed
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if !l.Standard {
			packages[l.ImportPath] = l
		}
	}
	return packages, nil
}

// newPath is the import path that a package gets. The internal packages of clew
// are internal no more, because clew/auto is not below the same directory.
func newPath(p string) string {
	if p == autoOrigin {
		return autoPackage
	}
	if own, ok := strings.CutPrefix(p, modulePath+"/"); ok {
		elements := strings.Split(own, "/")
		for i, e := range elements {
			if e == "internal" {
				elements[i] = "private"
			}
		}
		return prefix + path.Join(modulePath, path.Join(elements...))
	}
	return prefix + p
}

// add copies the files of a package.
func (is *isolated) add(p listed, packages map[string]listed) error {
	own := p.Module != nil && strings.HasPrefix(p.Module.Path, modulePath)
	if own {
		is.inputs = append(is.inputs, p.Dir)
	}
	entries, err := os.ReadDir(p.Dir)
	if err != nil {
		return err
	}
	names := slices.Clone(p.EmbedFiles)
	for _, e := range entries {
		switch ext := path.Ext(e.Name()); {
		case e.IsDir(), strings.HasSuffix(e.Name(), "_test.go"):
		case ext == ".go", ext == ".s", ext == ".h":
			names = append(names, e.Name())
		}
	}
	for _, name := range names {
		file := filepath.Join(p.Dir, name)
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".go" {
			if text, err = rewriteImports(file, text, packages); err != nil {
				return err
			}
		}
		if text != nil {
			is.files[newPath(p.ImportPath)+"/"+name] = text
		}
		if own {
			is.inputs = append(is.inputs, file)
		}
	}
	return nil
}

// rewriteImports changes the import paths of a file to those of the copies. It
// returns nil for a file that is never built.
func rewriteImports(name string, text []byte, packages map[string]listed) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, text, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, err
	}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:build ignore") {
				return nil, nil
			}
		}
	}
	var b bytes.Buffer
	at := 0
	// A comment such as // import "path" holds a package to another path.
	name1 := fset.Position(f.Name.End()).Offset
	if line, _, _ := bytes.Cut(text[name1:], []byte("\n")); bytes.HasPrefix(bytes.TrimSpace(line), []byte("// import ")) {
		b.Write(text[:name1])
		at = name1 + len(line)
	}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if _, ok := packages[p]; !ok {
			continue
		}
		from := fset.Position(spec.Path.Pos()).Offset
		b.Write(text[at:from])
		b.WriteString(strconv.Quote(newPath(p)))
		at = from + len(spec.Path.Value)
	}
	b.Write(text[at:])
	return b.Bytes(), nil
}

// prune drops the packages that nothing imports.
func (is *isolated) prune() error {
	imports := map[string][]string{}
	for name, text := range is.files {
		if path.Ext(name) != ".go" {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			p, _ := strconv.Unquote(spec.Path.Value) //nolint:errcheck // it has been parsed
			imports[path.Dir(name)] = append(imports[path.Dir(name)], p)
		}
	}
	reached := map[string]bool{}
	var visit func(string)
	visit = func(p string) {
		if !reached[p] {
			reached[p] = true
			for _, i := range imports[p] {
				visit(i)
			}
		}
	}
	visit(autoPackage)
	for name := range is.files {
		dir := path.Dir(name)
		for dir != "." && !reached[dir] {
			dir = path.Dir(dir) // embedded files may lie deeper
		}
		if dir == "." {
			delete(is.files, name)
		}
	}
	return nil
}
