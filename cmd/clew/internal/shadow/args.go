package shadow

import (
	"fmt"
	"slices"
	"strings"
)

// Commands are the commands of the go command that clew go has.
var Commands = []string{"build", "install", "run", "test", "vet"}

// arguments are those of a go command, taken apart.
type arguments struct {
	command  string
	chdir    string   // of -C
	flags    []string // with their values, but for the three here
	overlay  string
	toolexec string
	packages []string
	rest     []string // of the program, or of the tests
}

// The flags that take no value, of go build and of go test. All others of
// theirs do.
var (
	boolFlags = words("a n v x race msan asan cover work trimpath linkshared modcacherw i json buildvcs " +
		"c short failfast benchmem fullpath artifacts")
	valueFlags = words("asmflags buildmode compiler gccgoflags gcflags installsuffix ldflags mod modfile overlay p pgo pkgdir tags toolexec " +
		"coverpkg covermode exec o C debug-actiongraph debug-trace debug-runtime-trace " +
		"bench benchtime blockprofile blockprofilerate count coverprofile cpu cpuprofile fuzz fuzzcachedir fuzzminimizetime fuzztime list " +
		"memprofile memprofilerate mutexprofile mutexprofilefraction outputdir parallel run shuffle skip testlogfile timeout trace vet")
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

// parseArguments takes the arguments after "go" apart.
func parseArguments(args []string) (*arguments, error) {
	if len(args) == 0 || !slices.Contains(Commands, args[0]) {
		return nil, fmt.Errorf("%q: must be one of %s", strings.Join(args[:min(1, len(args))], ""), strings.Join(Commands, ", "))
	}
	a := &arguments{command: args[0]}
	left := args[1:]
	if a.command == "vet" { // its flags are those of its checks, and -C has to be the first one
		if name, value, given := flagName(strings.Join(left[:min(1, len(left))], "")); name == "C" {
			switch {
			case given:
				a.chdir, left = value, left[1:]
			case len(left) == 1:
				return nil, noValue(left[0])
			default:
				a.chdir, left = left[1], left[2:]
			}
		}
		a.packages = left
		return a, nil
	}
	for len(left) > 0 {
		name, value, given := flagName(left[0])
		switch {
		case left[0] == "-args" || left[0] == "--args":
			a.rest = left
			return a, nil
		case name == "" && (a.command != "test" || a.packages != nil):
			a.operands(left)
			return a, nil
		case name == "":
			for len(left) > 0 && !strings.HasPrefix(left[0], "-") {
				a.packages = append(a.packages, left[0])
				left = left[1:]
			}
			continue
		case !boolFlags[name] && !valueFlags[name]:
			a.rest = left // of the test; everything may be a value from here
			return a, nil
		}
		taken := 1
		if valueFlags[name] && !given {
			if len(left) == 1 {
				return nil, noValue(left[0])
			}
			value, taken = left[1], 2
		}
		a.flag(name, value, left[:taken])
		left = left[taken:]
	}
	return a, nil
}

func noValue(flag string) error { return fmt.Errorf("%s: there is no value", flag) }

// flagName is "" for what is not a flag. Those of go test may begin with "test.".
func flagName(arg string) (name, value string, given bool) {
	if len(arg) < 2 || arg[0] != '-' || arg == "--" {
		return "", "", false
	}
	name, value, given = strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	return strings.TrimPrefix(name, "test."), value, given
}

func (a *arguments) flag(name, value string, all []string) {
	switch name {
	case "C":
		a.chdir = value
	case "overlay":
		a.overlay = value
	case "toolexec":
		a.toolexec = value
	default:
		a.flags = append(a.flags, all...)
	}
}

// operands are packages; of go run one package, or Go files, and what the
// program is given.
func (a *arguments) operands(args []string) {
	if a.command == "test" {
		a.rest = args
		return
	}
	if args[0] == "--" {
		args = args[1:]
	}
	n := len(args)
	if a.command == "run" {
		n = slices.IndexFunc(args, func(s string) bool { return !strings.HasSuffix(s, ".go") })
		switch n {
		case -1:
			n = len(args)
		case 0:
			n = min(1, len(args))
		}
	}
	a.packages, a.rest = args[:n], args[n:]
}

// fromEnvironment takes what GOFLAGS has and the command line has not.
func (a *arguments) fromEnvironment(goflags string) {
	for _, f := range fields(goflags) {
		switch name, value, _ := flagName(f); {
		case name == "overlay" && a.overlay == "":
			a.overlay = value
		case name == "toolexec" && a.toolexec == "":
			a.toolexec = value
		}
	}
}

// choosing are the flags that say which packages and files there are.
func (a *arguments) choosing() []string {
	var chosen []string
	for i := 0; i < len(a.flags); i++ {
		name, _, given := flagName(a.flags[i])
		takes := valueFlags[name] && !given
		if slices.Contains([]string{"tags", "mod", "modfile", "race", "msan", "asan", "compiler"}, name) {
			chosen = append(chosen, a.flags[i])
			if takes {
				chosen = append(chosen, a.flags[i+1])
			}
		}
		if takes {
			i++
		}
	}
	return chosen
}

// areFiles reports whether Go files are given instead of packages.
func (a *arguments) areFiles() bool {
	return len(a.packages) > 0 && strings.HasSuffix(a.packages[0], ".go")
}
