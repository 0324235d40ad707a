package shadow

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	for line, want := range map[string]string{
		"build":            "build [] [] []",
		"build -o x ./...": "build [-o x] [./...] []",
		"build -race -tags=a,b -ldflags -s ./a ./b": "build [-race -tags=a,b -ldflags -s] [./a ./b] []",
		"build -C dir -v .":                         "build -C=dir [-v] [.] []",
		"install -- ./a":                            "install [] [./a] []",
		"run . -flag x":                             "run [] [.] [-flag x]",
		"run -race a.go b.go c -x":                  "run [-race] [a.go b.go] [c -x]",
		"run -exec=time ./a ./b":                    "run [-exec=time] [./a] [./b]",
		"run a.go":                                  "run [] [a.go] []",
		"test":                                      "test [] [] []",
		"test ./... -run X -count=1":                "test [-run X -count=1] [./...] []",
		"test -test.v ./a ./b -args ./c":            "test [-test.v] [./a ./b] [-args ./c]",
		"test ./a -update ./b":                      "test [] [./a] [-update ./b]",
		"test -update ./b":                          "test [] [] [-update ./b]",
		"build -overlay o.json -toolexec x .":       "build -overlay=o.json -toolexec=x [] [.] []",
		"vet -printf=false ./...":                   "vet [] [-printf=false ./...] []",
		"vet -C dir -printf=false .":                "vet -C=dir [] [-printf=false .] []",
		"vet -C=dir":                                "vet -C=dir [] [] []",
		"build -buildvcs=false --tags x .":          "build [-buildvcs=false --tags x] [.] []",
	} {
		a, err := parseArguments(strings.Fields(line))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		words := []string{a.command}
		for _, f := range [][2]string{{"C", a.chdir}, {"overlay", a.overlay}, {"toolexec", a.toolexec}} {
			if f[1] != "" {
				words = append(words, "-"+f[0]+"="+f[1])
			}
		}
		for _, list := range [][]string{a.flags, a.packages, a.rest} {
			words = append(words, "["+strings.Join(list, " ")+"]")
		}
		got := strings.Join(words, " ")
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	for _, line := range []string{"", "get x", "mod tidy", "build -o", "vet -C"} {
		if a, err := parseArguments(strings.Fields(line)); err == nil {
			t.Errorf("%q is taken: %v", line, a)
		}
	}
}

func TestFlagsThatChooseFiles(t *testing.T) {
	a, err := parseArguments(strings.Fields("build -o x -tags a -race -ldflags -s -mod=vendor ."))
	if got, want := strings.Join(a.choosing(), " "), "-tags a -race -mod=vendor"; err != nil || got != want {
		t.Errorf("%q %v, want %q", got, err, want)
	}
}

func TestFlagsOfTheEnvironment(t *testing.T) {
	a := &arguments{toolexec: "own"}
	a.fromEnvironment(`-race '-overlay=a b.json' -toolexec=other`)
	if a.overlay != "a b.json" || a.toolexec != "own" {
		t.Errorf("overlay %q, toolexec %q", a.overlay, a.toolexec)
	}
}

func TestUsersToolexecComesFirst(t *testing.T) {
	flag, err := toolexecFlag("/goroot", "'/a b/wrap' -x")
	if err != nil {
		t.Fatal(err)
	}
	words := fields(strings.TrimPrefix(flag, "-toolexec="))
	users, err := decode(words[len(words)-1])
	if got, want := fields(users), []string{"/a b/wrap", "-x"}; err != nil || !slices.Equal(got, want) || words[2] != "/goroot" {
		t.Errorf("%q of %q %v, want %q", got, words, err, want)
	}
	if _, err := toolexecFlag("/go'root", ""); err == nil {
		t.Error("a path with a quote is taken")
	}
}

func TestUsersOverlayIsKept(t *testing.T) {
	dir := t.TempDir()
	users := filepath.Join(dir, "users.json")
	write(t, users, []byte(`{"Replace": {"/p/a.go": "/q/a.go"}}`))
	b := &build{arguments: &arguments{overlay: users}, cache: dir}
	file, err := b.writeOverlay(map[string]string{"/p/zz_clew_auto.go": "/goroot/zz_clew_auto.go"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &got); err != nil || len(got.Replace) != 2 || got.Replace["/p/a.go"] != "/q/a.go" {
		t.Errorf("%s %v", text, err)
	}
	b.arguments.overlay = filepath.Join(dir, "missing.json")
	if _, err := b.writeOverlay(nil); err == nil {
		t.Error("an overlay that is not there is taken")
	}
}

func TestMarkOfABinary(t *testing.T) {
	dir := t.TempDir()
	marked, plain := filepath.Join(dir, "marked"), filepath.Join(dir, "plain")
	write(t, marked, []byte("ELF\x00"+mark()+"go1.26.8 abc\n\x00more"))
	write(t, plain, []byte("ELF\x00 clew-go built with go1.26.8 abc\n"))
	if got, err := BuiltWith(marked); got != "go1.26.8 abc" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if got, err := BuiltWith(plain); got != "" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := BuiltWith(self); got != "" || err != nil {
		t.Errorf("%q %v: this test was not built by clew go", got, err)
	}
	if _, err := BuiltWith(filepath.Join(dir, "missing")); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestStampKnowsItsInputs(t *testing.T) {
	dir := t.TempDir()
	goroot, in := filepath.Join(dir, "goroot"), filepath.Join(dir, "input.go")
	write(t, filepath.Join(goroot, identityFile), nil)
	write(t, in, []byte("a"))
	s := openStamp(dir, "x")
	if _, ok := s.current(); ok {
		t.Error("a stamp that nobody has written is current")
	}
	if err := s.write(goroot, []string{in, dir}); err != nil {
		t.Fatal(err)
	}
	// The stamp's own directory has come into dir, so it is stamped once more.
	if err := s.write(goroot, []string{in, dir}); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.current(); !ok || got != goroot {
		t.Errorf("%q %v, want it to be current", got, ok)
	}
	if _, ok := openStamp(dir, "y").current(); ok {
		t.Error("a stamp of something else is current")
	}
	write(t, in, []byte("ab"))
	if _, ok := s.current(); ok {
		t.Error("a changed input is not seen")
	}
}
