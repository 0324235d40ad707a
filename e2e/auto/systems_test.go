package auto_test

import (
	"debug/elf"
	"debug/macho"
	"os/exec"
	"strings"
	"testing"
)

// headers are of executables for the systems that clew go builds for, and that
// this test does not run on.
var headers = map[string]struct {
	want string
	read func(path string) (string, error)
}{
	"linux/arm64":  {"EM_AARCH64", elfMachine},
	"darwin/amd64": {"CpuAmd64", machoCPU},
	"darwin/arm64": {"CpuArm64", machoCPU},
}

func elfMachine(path string) (string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return "", err
	}
	return f.Machine.String(), f.Close()
}

func machoCPU(path string) (string, error) {
	f, err := macho.Open(path)
	if err != nil {
		return "", err
	}
	return f.Cpu.String(), f.Close()
}

// TestOtherSystems builds for other systems. The program for linux/arm64 is run
// if there is an emulator.
func TestOtherSystems(t *testing.T) {
	for system, header := range headers {
		t.Run(system, func(t *testing.T) {
			goos, goarch, _ := strings.Cut(system, "/")
			t.Setenv("GOOS", goos)
			t.Setenv("GOARCH", goarch)
			t.Setenv("CGO_ENABLED", "0")
			path := build(t, module(t, "exits"))
			if got, err := header.read(path); err != nil || got != header.want {
				t.Errorf("the executable is for %s, want %s: %v", got, header.want, err)
			}
			if out := output(t, clew(t, ".", "doctor", "-binary", path)); !strings.Contains(out, "was built by clew go") {
				t.Errorf("clew doctor -binary says %q", out)
			}
			if emulator := emulatorOf(system); emulator != "" {
				got, _ := run(t, emulator, path, "return")
				compare(t, got, map[string]int{"client GET(server GET)": 1})
			}
		})
	}
}

// emulatorOf is the program of QEMU that runs executables for a system, or "".
func emulatorOf(system string) string {
	if system != "linux/arm64" {
		return ""
	}
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
