package slog_test

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// differences are the programs that print something else with the import, and
// what they print without and with it: nobody can ask for what package log had
// before slog.SetDefault.
var differences = map[string][2]string{
	"another default for a while": {
		"level=INFO msg=\"INFO record\"\nlevel=INFO msg=line\n",
		"1111/11/11 11:11:11 INFO record\n1111/11/11 11:11:11 line\n",
	},
	"another default for a while, lines": {
		"level=INFO msg=line\nlevel=INFO msg=line\n",
		"1111/11/11 11:11:11 line\n1111/11/11 11:11:11 line\n",
	},
	"the default again, with flags that nothing was logged with": {
		"INFO record\n", "1111/11/11 11:11:11 INFO record\n",
	},
	"the default again, no flags after": {
		"INFO record\n", "1111/11/11 11:11:11 INFO record\n",
	},
}

// TestProgramsThatSetNothingUpPrintWhatTheyDid runs a real program, with and
// without the import.
func TestProgramsThatSetNothingUpPrintWhatTheyDid(t *testing.T) {
	plain := build(t)
	names, _, _ := run(t, plain, "")
	for _, imported := range []string{"early", "otelsetup"} {
		with := build(t, "-tags="+imported)
		for name := range strings.SplitSeq(strings.TrimSpace(names), "\n") {
			t.Run(imported+"/"+name, func(t *testing.T) { compare(t, plain, with, name, imported == "otelsetup") })
		}
	}
}

// compare runs both programs. Go's runtime does not see that a program waits for
// ever if it could also wait for signals.
func compare(t *testing.T, plain, with, name string, signals bool) {
	t.Helper()
	out, errs, code := run(t, plain, name)
	if signals && strings.HasPrefix(errs, asleep) {
		return
	}
	outWith, errsWith, codeWith := run(t, with, name)
	if d, ok := differences[name]; ok {
		if out+errs != d[0] || outWith+errsWith != d[1] || code != codeWith {
			t.Errorf("printed\n%s%swithout the import, and with it\n%s%swant\n%s\nand\n%s", out, errs, outWith, errsWith, d[0], d[1])
		}
		return
	}
	if strings.Contains(name, "goroutines") {
		errs, errsWith = sorted(errs), sorted(errsWith)
	}
	if code != codeWith || out != outWith || errs != errsWith {
		t.Errorf("printed, with exit code %d,\n%s%swant, with %d,\n%s%s", codeWith, outWith, errsWith, code, out, errs)
	}
}

func build(t *testing.T, flags ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	args := append(append([]string{"build", "-o", path}, flags...), "./testdata/program")
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil { //nolint:gosec // the arguments are those above
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

var date = regexp.MustCompile(`\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d\.\d{6}`)

// asleep is what Go's runtime says of a program that waits for ever.
const asleep = "fatal error: all goroutines are asleep"

// run returns what the program prints, with one time for all, and only that
// it waits for ever if it does.
func run(t *testing.T, path, name string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := exec.CommandContext(t.Context(), path)
	if name != "" {
		cmd.Args = append(cmd.Args, name)
	}
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		code = exit.ExitCode()
	}
	errs = e.String()
	if i := strings.Index(errs, asleep); i >= 0 {
		errs, _, _ = strings.Cut(errs[i:], "\n")
	}
	if code > 2 || code < 0 || strings.Contains(errs, "panic:") {
		t.Errorf("exit code %d\n%s", code, errs)
	}
	one := func(s string) string {
		return date.ReplaceAllStringFunc(s, func(d string) string { return regexp.MustCompile(`\d`).ReplaceAllString(d, "1") })
	}
	return one(o.String()), one(errs), code
}

func sorted(lines string) string {
	all := strings.Split(lines, "\n")
	slices.Sort(all)
	return strings.Join(all, "\n")
}
