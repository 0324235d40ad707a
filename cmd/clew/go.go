package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/clewtrace/clew/cmd/clew/internal/shadow"
)

const goHelp = `Usage: clew go build|install|run|test|vet [arguments of the go command]

Runs the go command with a standard library that has hooks: the program it
builds is traced, without a line of tracing in it. No file of the program is
changed, and nothing is added to its modules. The OTEL_* variables say where a
program sends its telemetry when it runs; OTEL_SDK_DISABLED=true turns it off.

  OTEL_SERVICE_NAME=server clew go run ./server
  clew go build -o server ./cmd/server

docs/zero-code.md says what is traced, and what is not.
`

const checkHelp = `Usage: clew check

Says whether the Go toolchain of this directory has a standard library that
"clew go" can instrument. The exit code is 1 if it has not, and each place is
listed that is not as expected.
`

// runGo does not return unless nothing was built: the go command takes the place
// of this process.
func runGo(ctx context.Context, args []string, std stdio) error {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "--help" || args[0] == "help") {
		fmt.Fprint(std.out, goHelp)
		return nil
	}
	err := shadow.Run(ctx, args, shadow.Streams{Err: std.err})
	if wrong, ok := errors.AsType[*shadow.ArgumentError](err); ok {
		return usageError{wrong}
	}
	return err
}

func runCheck(ctx context.Context, args []string, std stdio) error {
	f := newFlagSet("check")
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	t, err := shadow.FindToolchain(ctx, "")
	if err != nil {
		return err
	}
	if err := shadow.Check(t); err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s in %s can be instrumented\n", t.Version, filepath.Clean(t.Root))
	return nil
}
