package shadow

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// mark stands in every program in front of what it was built with. It is put
// together at run time, so that this executable has none.
func mark() string { return strings.Join([]string{"\xff clew", "go built with "}, "-") }

// builtFile is the file of clew/auto that has the mark.
func builtFile(version, id string) string {
	return fmt.Sprintf("package auto\n\nvar built = %q\n", mark()+version+" "+id+"\n")
}

// BuiltWith returns what "clew go" has built an executable with, such as
// "go1.26.8 0123456789ab", or "" if it has not.
func BuiltWith(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, text, _ = bytes.Cut(text, []byte(mark()))
	with, _, found := bytes.Cut(text[:min(len(text), 200)], []byte("\n"))
	if !found {
		return "", nil
	}
	return string(with), nil
}
