package shadow

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// toolexecCommand is the first argument of a process that the go command starts
// in place of a tool. Goroot, the user's own -toolexec, and the tool follow.
const toolexecCommand = "go-toolexec"

// toolexecFlag is the flag for a go command. users is the user's own value.
func toolexecFlag(goroot, users string) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	if strings.ContainsAny(exe+goroot, "'\"") {
		return "", fmt.Errorf("%s, %s: a path with a quote in it cannot be given to -toolexec", exe, goroot)
	}
	return fmt.Sprintf("-toolexec='%s' %s '%s' %s", exe, toolexecCommand, goroot, encode(users)), nil
}

// encode makes one word of a text, also of the empty one.
func encode(s string) string { return "=" + base64.URLEncoding.EncodeToString([]byte(s)) }

func decode(s string) (string, error) {
	text, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(s, "="))
	return string(text), err
}

// RunTool runs a tool of the toolchain if the arguments of this process say so,
// and does not return then.
func RunTool() {
	if len(os.Args) < 5 || os.Args[1] != toolexecCommand {
		return
	}
	if err := runTool(os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "clew go:", err)
	}
	os.Exit(1)
}

// runTool returns only if it fails.
func runTool(goroot, encoded string, command []string) error {
	users, err := decode(encoded)
	if err != nil {
		return err
	}
	tool, args := filepath.Base(command[0]), command[1:]
	command = append(fields(users), command[0])
	switch {
	case tool == "compile" && len(args) == 1 && strings.HasPrefix(args[0], "-V"):
		return printIdentity(append(command, args...))
	case tool == "compile":
		var done bool
		if args, done = patchModule(command, args); done {
			os.Exit(0)
		}
	case tool == "link":
		// What runtime.GOROOT returns, and where stack traces say that files are.
		os.Setenv("GOROOT", toolchainOf(goroot))
	case tool == "cover":
		// It knows nothing of overlays.
		for i, a := range args {
			if slices.Contains(mainFiles, filepath.Base(a)) {
				args[i] = filepath.Join(goroot, filepath.Base(a))
			}
		}
	}
	command = append(command, args...)
	path, err := exec.LookPath(command[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, command, os.Environ())
}

// toolchainOf is the directory of the toolchain that a Goroot was made of.
func toolchainOf(goroot string) string {
	bin, err := os.Readlink(filepath.Join(goroot, "bin"))
	if err != nil {
		return goroot
	}
	return filepath.Dir(bin)
}

// fields splits a command as the go command does: words may be quoted.
func fields(s string) []string {
	var words []string
	for s = strings.TrimLeft(s, " \t\n\r"); s != ""; s = strings.TrimLeft(s, " \t\n\r") {
		end := strings.IndexAny(s, " \t\n\r")
		if quote := s[0]; quote == '\'' || quote == '"' {
			s = s[1:]
			end = strings.IndexByte(s, quote)
		}
		if end < 0 {
			return append(words, s)
		}
		words = append(words, s[:end])
		s = s[end+1:]
	}
	return words
}

// printIdentity prints what the go command takes for the identity of the
// compiler. With that of the patches, nothing that plain go has built is used.
func printIdentity(command []string) error {
	out, err := output(exec.Command(command[0], command[1:]...)) //nolint:noctx // the go command waits for it
	if err != nil {
		return err
	}
	fmt.Printf("%s clew-%s\n", strings.TrimSpace(string(out)), patchesID())
	os.Exit(0)
	return nil
}

// after returns the argument that follows a flag.
func after(args []string, flag string) string {
	if i := slices.Index(args, flag); i >= 0 && i+1 < len(args) {
		return args[i+1]
	}
	return ""
}
