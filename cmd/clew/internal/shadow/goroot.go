package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Goroot is a standard library with hooks, and clew in it.
type Goroot struct {
	Dir       string
	Toolchain Toolchain
}

// identityFile is in every Goroot.
const identityFile = "CLEW"

// Prepare returns the Goroot for a toolchain, and makes it if it is not in the
// cache. What takes a while is told to progress.
func Prepare(ctx context.Context, t Toolchain, progress io.Writer) (*Goroot, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	origin, err := findOrigin(ctx)
	if err != nil {
		return nil, err
	}
	version, err := os.ReadFile(filepath.Join(t.Root, "VERSION"))
	if err != nil {
		return nil, &MismatchError{t.Root, t.Version, []error{err}}
	}
	s := openStamp(cache, t.Root, string(version), t.OS, origin)
	if dir, ok := s.current(); ok {
		return &Goroot{dir, t}, nil
	}
	m := maker{toolchain: t, cache: cache, stamp: s}
	dir, err := m.make(ctx, origin, string(version), progress)
	if err != nil {
		return nil, err
	}
	return &Goroot{dir, t}, nil
}

// Check reports whether a toolchain's standard library can be patched.
func Check(t Toolchain) error {
	_, err := patchStd(t)
	return err
}

// cacheVariable names the directory that is used in place of the user's cache.
const cacheVariable = "CLEW_GO_CACHE"

func cacheDir() (string, error) {
	if dir := os.Getenv(cacheVariable); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "clew-go"), nil
}

// maker makes one Goroot.
type maker struct {
	toolchain Toolchain
	cache     string
	stamp     *stamp
	files     map[string][]byte // what differs from the toolchain's src
}

func (m *maker) make(ctx context.Context, origin, version string, progress io.Writer) (string, error) {
	var err error
	if m.files, err = patchStd(m.toolchain); err != nil {
		return "", err
	}
	is, err := isolate(ctx, origin, m.toolchain.OS)
	if err != nil {
		return "", err
	}
	maps.Copy(m.files, is.files)
	id := m.identity(version)
	m.files[autoPackage+"/zz_built.go"] = []byte(builtFile(m.toolchain.Version, id))
	name, _, _ := strings.Cut(version, "\n")
	root := filepath.Join(m.cache, "goroot")
	dir := filepath.Join(root, name+"-"+id)
	if _, err := os.Stat(filepath.Join(dir, identityFile)); err != nil {
		fmt.Fprintf(progress, "clew go: compiling a standard library with hooks for %s\n", name)
		removeOld(root)
		if err := m.build(ctx, root, dir, id); err != nil {
			return "", err
		}
	}
	inputs := is.inputs
	for _, p := range stdPatches {
		inputs = append(inputs, m.toolchain.source(p.file))
	}
	return dir, m.stamp.write(dir, inputs)
}

// identity tells Goroots apart.
func (m *maker) identity(version string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n", m.toolchain.Root, version, filesID())
	for _, name := range sortedKeys(m.files) {
		fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(m.files[name]))
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// build makes the directory under another name, and renames it when it is whole.
func (m *maker) build(ctx context.Context, root, dir, id string) error {
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(root, "tmp-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := m.link(tmp); err != nil {
		return err
	}
	m.files["../"+identityFile] = []byte(id + "\n")
	for name, text := range m.files {
		file := filepath.Join(tmp, "src", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil { //nolint:gosec // as the rest of GOROOT
			return err
		}
	}
	if err := writeMains(tmp); err != nil {
		return err
	}
	if err := m.verify(ctx, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		if _, there := os.Stat(filepath.Join(dir, identityFile)); there != nil {
			return err
		} // else another process was faster
	}
	return nil
}

// link fills dir with what the toolchain has, but for what is replaced.
func (m *maker) link(dir string) error {
	entries, err := os.ReadDir(m.toolchain.Root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == "src" {
			continue
		}
		if err := os.Symlink(filepath.Join(m.toolchain.Root, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	from := filepath.Join(m.toolchain.Root, "src")
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		return m.linkSource(file, filepath.Join(dir, "src", rel), filepath.ToSlash(rel), d)
	})
}

func (m *maker) linkSource(from, to, rel string, d fs.DirEntry) error {
	switch {
	case d.IsDir() && rel == "cmd":
		if err := os.Symlink(from, to); err != nil {
			return err
		}
		return filepath.SkipDir
	case d.IsDir() && d.Name() == "testdata":
		return filepath.SkipDir
	case d.IsDir():
		return os.MkdirAll(to, 0o755)
	case m.files[rel] != nil, strings.HasSuffix(rel, "_test.go"):
		return nil
	case os.Link(from, to) == nil:
		return nil
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, 0o644); err != nil { //nolint:gosec // as the toolchain's
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime()) // the go command indexes old files only
}

// verify compiles what is patched, and clew, so that a standard library that is
// not what the patches expect is told as such, and not as a broken program. What
// it compiles is in the build cache then.
func (m *maker) verify(ctx context.Context, dir string) error {
	packages := map[string]bool{autoPackage: true}
	for name := range m.files {
		if !strings.HasPrefix(name, "clew/") && !strings.HasPrefix(name, "../") {
			packages[path.Dir(name)] = true
		}
	}
	flag, err := toolexecFlag(dir, "")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, m.toolchain.Go(), append([]string{"build", flag}, sortedKeys(packages)...)...)
	cmd.Env = append(environment(dir), "GOWORK=off", "GOFLAGS=")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return &MismatchError{m.toolchain.Root, m.toolchain.Version, []error{errors.New("it does not compile with the patches: " + strings.TrimSpace(string(out)))}}
	}
	return nil
}

// environment is that of a go command that uses a Goroot.
func environment(dir string) []string {
	return append(os.Environ(), "GOROOT="+dir, "GOTOOLCHAIN=local")
}

// keep is how long a Goroot is kept that no build uses.
const keep = 7 * 24 * time.Hour

// removeOld removes the Goroots that have not been used for long, and what is left
// of those that were never finished.
func removeOld(root string) {
	entries, _ := os.ReadDir(root) //nolint:errcheck // then there is nothing to remove
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(root, e.Name(), identityFile))
		if err != nil {
			info, err = e.Info()
		}
		if err == nil && time.Since(info.ModTime()) > keep {
			os.RemoveAll(filepath.Join(root, e.Name()))
		}
	}
}
