// Command clew shows distributed traces of Go services.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/clewtrace/clew/cmd/clew/internal/demo"
	"github.com/clewtrace/clew/cmd/clew/internal/shadow"
	"github.com/clewtrace/clew/internal/redact"
)

const usage = `Usage: clew <command> [flags]

Commands:
  go          build or run a Go program with tracing built in: clew go run .
  check       say whether this Go toolchain fits clew go
  demo        run two example services and print their trace as a tree
  view        receive traces and show them on a web page
  tail        print the traces of a running clew view as they end
  doctor      test where this environment sends telemetry, and say what is wrong
  decode      explain traceparent and tracestate headers
  completion  print a completion script for bash, zsh or fish

clew <command> -h shows the flags of a command.
`

const demoHelp = `Usage: clew demo [-open]

Runs the example server and client, and prints the trace they make together.

  -open   show it on a page in the browser too, until interrupted
`

func main() {
	demo.Run()
	shadow.RunTool()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

type stdio struct {
	in       io.Reader
	out, err io.Writer
}

var errInterrupted = errors.New("interrupted")

// usageError says that a command was used wrongly.
type usageError struct{ error }

// command is a command that is run with the arguments after its name.
type command struct {
	help string
	run  func(ctx context.Context, args []string, std stdio) error
}

func commands() map[string]command {
	return map[string]command{
		"go":         {goHelp, runGo},
		"check":      {checkHelp, runCheck},
		"demo":       {demoHelp, runDemo},
		"view":       {viewHelp, runViewCommand},
		"tail":       {tailHelp, runTail},
		"doctor":     {doctorHelp, runDoctor},
		"decode":     {decodeHelp, runDecode},
		"completion": {completionHelp, runCompletion},
	}
}

// run runs a command and returns the exit code: 0, 1 when the command failed, 2 for
// wrong usage, 130 when it was interrupted.
func run(ctx context.Context, args []string, std stdio) int {
	if len(args) == 1 && (args[0] == "help" || args[0] == "-h" || args[0] == "--help") {
		fmt.Fprint(std.out, usage)
		return 0
	}
	if len(args) == 2 && args[0] == "help" {
		args = []string{args[1], "-h"}
	}
	var cmd command
	if len(args) > 0 {
		cmd = commands()[args[0]]
	}
	if cmd.run == nil {
		if len(args) > 0 {
			fmt.Fprintf(std.err, "clew: there is no command %s\n\n", strconv.Quote(redact.Text(args[0])))
		}
		fmt.Fprint(std.err, usage)
		return 2
	}
	err := cmd.run(ctx, args[1:], std)
	if err == nil {
		return 0
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(std.out, cmd.help)
		return 0
	}
	text := err.Error()
	if args[0] != "go" && args[0] != "check" {
		text = redact.Text(text) // it may quote an argument; theirs are packages, as in example.com/x@latest
	}
	fmt.Fprintf(std.err, "clew %s: %s\n", args[0], text)
	if errors.Is(err, errInterrupted) {
		return 130
	}
	if _, wrong := errors.AsType[usageError](err); wrong {
		fmt.Fprint(std.err, "\n", cmd.help)
		return 2
	}
	return 1
}

// newFlagSet returns an empty set of flags. The help texts above list them.
func newFlagSet(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	return f
}

// parse reads flags. Its error is a usageError.
func parse(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return usageError{err}
}

func runDemo(ctx context.Context, args []string, std stdio) error {
	f := newFlagSet("demo")
	open := f.Bool("open", false, "")
	if err := parse(f, args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", f.Arg(0))}
	}
	show := showTrace
	if *open {
		show = showOnPage
	}
	err := show(ctx, std.out)
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

func runViewCommand(ctx context.Context, args []string, std stdio) error {
	c, err := parseView(args)
	if err != nil {
		return err
	}
	return runView(ctx, c, std.out, std.err)
}

func runDecode(_ context.Context, args []string, std stdio) error {
	return decode(args, std, time.Now())
}
