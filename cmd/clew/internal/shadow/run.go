package shadow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Streams are those of this process.
type Streams struct{ Err io.Writer }

// build is one run of the go command.
type build struct {
	arguments *arguments
	goroot    *Goroot
	cache     string
	std       Streams
}

// Run runs the go command with these arguments, such as "run", "./server". The
// go command takes the place of this process, so that Run returns only with an
// error, and nothing is built then.
func Run(ctx context.Context, args []string, std Streams) error {
	a, err := parseArguments(args)
	if err != nil {
		return &ArgumentError{err}
	}
	for _, p := range a.packages {
		if a.command != "vet" && strings.Contains(p, "@") && p[0] != '.' && !filepath.IsAbs(p) {
			return fmt.Errorf("%s is built outside of the module cache only: get the source of that version, and run clew go %s . there", p, a.command)
		}
	}
	t, err := FindToolchain(ctx, a.chdir)
	if err != nil {
		return err
	}
	a.fromEnvironment(t.Flags)
	b := &build{arguments: a, std: std}
	if b.cache, err = cacheDir(); err != nil {
		return err
	}
	if b.goroot, err = Prepare(ctx, t, std.Err); err != nil {
		return err
	}
	command, err := b.command(ctx)
	if err != nil {
		return err
	}
	err = syscall.Exec(t.Go(), command, environment(b.goroot.Dir))
	return fmt.Errorf("%s: %w", t.Go(), err)
}

// ArgumentError says that the arguments are not those of a go command.
type ArgumentError struct{ error }

// command is the command line of the go command.
func (b *build) command(ctx context.Context) ([]string, error) {
	a := b.arguments
	command := []string{"go", a.command}
	if a.chdir != "" {
		command = append(command, "-C", a.chdir)
	}
	flag, err := toolexecFlag(b.goroot.Dir, a.toolexec)
	if err != nil {
		return nil, err
	}
	command = append(command, flag)
	if a.command == "vet" {
		return append(command, a.packages...), nil
	}
	if a.command == "test" && a.areFiles() {
		return nil, errors.New("tests are traced by the package: give a directory instead of files")
	}
	programs, err := b.listPrograms(ctx)
	if err != nil {
		return nil, err
	}
	replace, err := b.overlayOf(programs)
	if err != nil {
		return nil, err
	}
	overlay, err := b.writeOverlay(replace)
	if err != nil {
		return nil, err
	}
	command = append(command, "-overlay="+overlay)
	packages := slices.Clone(a.packages)
	if a.areFiles() {
		for _, p := range programs {
			for _, name := range mainFiles {
				if replace[filepath.Join(p.Dir, name)] != "" {
					packages = append(packages, filepath.Join(filepath.Dir(a.packages[0]), name))
				}
			}
		}
	}
	return slices.Concat(command, a.flags, packages, a.rest), nil
}
