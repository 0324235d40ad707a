package shadow

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// patchModule returns the arguments for the compiler, with patched files in
// place of those of a package that has a patch. A package that the patch does
// not fit is compiled as it is. If done, it has been compiled already: added
// files use more of a package than the steps of a patch look at, so that only
// the compiler can tell whether they fit.
func patchModule(command, args []string) (with []string, done bool) {
	name := after(args, "-p")
	p, ok := modulePatches[name]
	if !ok {
		return args, false
	}
	patched, err := p.apply(args)
	if err == nil && p.added != "" {
		compiler := exec.Command(command[0], slices.Concat(command[1:], patched)...) //nolint:noctx // the go command waits for it
		var out []byte
		if out, err = compiler.CombinedOutput(); err == nil {
			os.Stderr.Write(out) //nolint:errcheck // warnings
			return nil, true
		}
		err = fmt.Errorf("it does not compile with the patch: %w\n%s", err, out)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "clew go: %s has no %s: %v\n", name, p.lost, err)
		return args, false
	}
	return patched, false
}

// apply returns the arguments for the compiler with the patched files and the
// added ones.
func (p modulePatch) apply(args []string) ([]string, error) {
	args = slices.Clone(args)
	dir := filepath.Dir(after(args, "-o"))
	for _, choice := range p.files {
		i := slices.IndexFunc(args, func(a string) bool { return isFile(a, choice[0].file) })
		if i < 0 {
			return nil, &PlaceError{choice[0].file, inFile, "to be there"}
		}
		text, err := patchFile(args[i], choice)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, "clew_"+choice[0].file)
		if err := os.WriteFile(file, append([]byte("//line "+args[i]+":1:1\n"), text...), 0o600); err != nil {
			return nil, err
		}
		args[i] = file
	}
	if p.added == "" {
		return args, nil
	}
	files, err := fs.Glob(added, "modules/"+p.added+"/*.txt")
	for _, f := range files {
		text, err := added.ReadFile(f)
		if err != nil {
			return nil, err
		}
		file := filepath.Join(dir, strings.TrimSuffix(filepath.Base(f), ".txt"))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return nil, err
		}
		args = append(args, file)
	}
	return args, err
}

// isFile reports whether an argument for the compiler is a file of this name,
// or what -cover has made of it.
func isFile(arg, name string) bool {
	base := filepath.Base(arg)
	return base == name || base == strings.TrimSuffix(name, ".go")+".cover.go"
}

// patchFile returns the file with the first patch that fits.
func patchFile(file string, choice []filePatch) (text []byte, err error) {
	for _, p := range choice {
		s, unreadable := readSource(file, p.file)
		if unreadable != nil {
			return nil, unreadable
		}
		text, mismatch := p.apply(s)
		if mismatch == nil {
			return text, nil
		}
		if err == nil {
			err = mismatch
		}
	}
	return nil, err
}
