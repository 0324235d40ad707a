package shadow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stamp remembers which Goroot was made from which files, so that a build that
// changes nothing reads none of them.
type stamp struct{ file string }

type stamped struct {
	Dir    string
	Inputs []input
}

// input is a file, or a directory, whose time is that of the last file that came
// or went.
type input struct {
	Path     string
	Size     int64
	Modified time.Time
}

// openStamp returns the stamp of what the words say.
func openStamp(cache string, words ...string) *stamp {
	h := sha256.Sum256([]byte(strings.Join(append(words, filesID()), "\x00")))
	return &stamp{filepath.Join(cache, "stamps", hex.EncodeToString(h[:8])+".json")}
}

// current returns the Goroot that was made, if that is still how it would be
// made.
func (s *stamp) current() (dir string, ok bool) {
	text, err := os.ReadFile(s.file)
	if err != nil {
		return "", false
	}
	var st stamped
	if json.Unmarshal(text, &st) != nil {
		return "", false
	}
	for _, in := range st.Inputs {
		if now, err := newInput(in.Path); err != nil || !now.Modified.Equal(in.Modified) || now.Size != in.Size {
			return "", false
		}
	}
	now := time.Now()
	return st.Dir, os.Chtimes(filepath.Join(st.Dir, identityFile), now, now) == nil
}

func (s *stamp) write(dir string, files []string) error {
	st := stamped{Dir: dir}
	for _, f := range files {
		in, err := newInput(f)
		if err != nil {
			return err
		}
		st.Inputs = append(st.Inputs, in)
	}
	text, err := json.Marshal(st)
	if err != nil {
		return err
	}
	return writeWhole(s.file, text)
}

func newInput(path string) (input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return input{}, err
	}
	in := input{Path: path, Modified: info.ModTime()}
	if !info.IsDir() {
		in.Size = info.Size()
	}
	return in, nil
}

// writeWhole writes a file that another process sees whole or not at all.
func writeWhole(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it has another name then
	if _, err = tmp.Write(text); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// hashed is a short name for a text.
func hashed(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text))[:16] }
