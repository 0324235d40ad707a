package shadow

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// The files that are added to the standard library, with ".txt" behind their
// names.
//
//go:embed std variants bridge modules
var added embed.FS

// supported are the releases of Go whose standard library the patches are made
// for and tested with.
var supported = []string{"go1.26", "go1.27"}

// Supported says so in words.
func Supported() string { return "Supported are " + strings.Join(supported, ".x and ") + ".x." }

// MismatchError says that a toolchain's standard library cannot be patched.
type MismatchError struct {
	Root    string
	Version string
	Reasons []error
}

func (e *MismatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the standard library of %s in %s is not one that can be instrumented:", e.Version, e.Root)
	for _, r := range e.Reasons {
		b.WriteString("\n\t" + strings.ReplaceAll(r.Error(), "\n", "\n\t"))
	}
	b.WriteString("\n" + Supported())
	return b.String()
}

// patchStd returns the files that are changed or added, by their names below
// src. Every mismatch is reported.
func patchStd(t Toolchain) (map[string][]byte, error) {
	files := map[string][]byte{}
	var reasons []error
	if !t.supported() {
		reasons = append(reasons, fmt.Errorf("%s is not a supported release", t.Version))
	}
	for _, p := range stdPatches {
		s, err := readSource(t.source(p.file), p.file)
		if err == nil {
			files[p.file], err = p.apply(s)
		}
		if err != nil {
			reasons = append(reasons, err)
		}
	}
	if err := addFiles(t, "std", files); err != nil {
		reasons = append(reasons, err)
	}
	for _, choice := range stdVariants {
		if err := addVariant(t, choice, files); err != nil {
			reasons = append(reasons, err)
		}
	}
	if len(reasons) > 0 {
		return nil, &MismatchError{t.Root, t.Version, reasons}
	}
	return files, nil
}

// addVariant adds the files of the first variant that fits.
func addVariant(t Toolchain, choice []variant, files map[string][]byte) error {
	var wanted []string
	for _, v := range choice {
		if _, err := os.Stat(t.source(v.has)); err == nil {
			return addFiles(t, "variants/"+v.files, files)
		}
		wanted = append(wanted, v.has)
	}
	return &PlaceError{choice[0].has, inFile, "one of these to be there: " + strings.Join(wanted, ", ")}
}

// addFiles adds the files below a directory of [added].
func addFiles(t Toolchain, dir string, files map[string][]byte) error {
	var errs []error
	err := fs.WalkDir(added, dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, dir+"/"), ".txt")
		if _, err := os.Lstat(t.source(name)); err == nil {
			errs = append(errs, &PlaceError{name, inFile, "not to be there"})
		}
		files[name], err = added.ReadFile(path)
		return err
	})
	return errors.Join(append(errs, err)...)
}

// toolVersion changes when [runTool] changes what the compiler makes in another
// way than by patches.
const toolVersion = 1

// patchesID tells the patches apart from those of other versions of clew: it is
// part of the identity of the compiler, and so of every package in the build
// cache. It is not that of the executable, so that a rebuilt clew finds what it
// has built before.
var patchesID = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintln(h, toolVersion)
	for _, p := range stdPatches {
		p.hash(h, "std")
	}
	for _, path := range sortedKeys(modulePatches) {
		for _, choice := range modulePatches[path].files {
			for _, p := range choice {
				p.hash(h, path)
			}
		}
	}
	for _, choice := range stdVariants {
		fmt.Fprintf(h, "%q\n", choice)
	}
	hashFiles(h, "std")
	hashFiles(h, "variants")
	hashFiles(h, "modules")
	return hex.EncodeToString(h.Sum(nil))[:12]
})

// filesID tells the file that joins OpenTelemetry apart as well.
var filesID = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintln(h, patchesID())
	hashFiles(h, "bridge")
	return hex.EncodeToString(h.Sum(nil))[:12]
})

func hashFiles(h io.Writer, dir string) {
	fs.WalkDir(added, dir, func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // files of this executable
		if err == nil && !d.IsDir() {
			text, _ := added.ReadFile(path)
			fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(text))
		}
		return err
	})
}

func (p filePatch) hash(h io.Writer, of string) {
	for _, s := range p.steps {
		fmt.Fprintf(h, "%q %q %q %q %q\n", of, p.file, s.where, s.what, s.text)
	}
}

// source is the path of a file of the standard library.
func (t Toolchain) source(name string) string {
	return filepath.Join(t.Root, "src", filepath.FromSlash(name))
}

func (t Toolchain) supported() bool {
	for _, s := range supported {
		if rest, ok := strings.CutPrefix(t.Version, s); ok && (rest == "" || rest[0] == '.' || strings.HasPrefix(rest, " ")) {
			return true
		}
	}
	return false
}
