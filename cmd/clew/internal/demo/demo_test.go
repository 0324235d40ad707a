package demo

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "copy the examples")

// TestProgramsAreTheExamples compares the programs with the examples of which
// they are copies.
func TestProgramsAreTheExamples(t *testing.T) {
	for name := range programs {
		source, err := os.ReadFile(filepath.Join("../../../../examples", name, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		file, want := filepath.Join(name, name+".go"), asPackage(name, source)
		if *update {
			if err := os.WriteFile(file, want, 0o644); err != nil { //nolint:gosec // source code
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is no copy of examples/%s (%v): run go test ./cmd/clew/internal/demo -update", file, name, err)
		}
	}
}

// asPackage returns the source of a program as that of a package with the
// function Main.
func asPackage(name string, source []byte) []byte {
	_, code, _ := bytes.Cut(source, []byte("\npackage main\n"))
	code = bytes.Replace(code, []byte("\nfunc main() {"), []byte("\n// Main is the program, and does not return.\nfunc Main() {"), 1)
	header := fmt.Sprintf("// Code generated from examples/%s/main.go; DO NOT EDIT.\n\n// Package %[1]s is a program of \"clew demo\".\npackage %[1]s\n", name)
	return append([]byte(header), code...)
}
