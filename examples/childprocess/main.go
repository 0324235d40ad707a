// Command childprocess runs a command as a child process and hands it the trace
// in its environment. A childprocess that is run by another one continues its
// trace: three of them, one inside the other, are one trace.
//
//	OTEL_SERVICE_NAME=build go run ./examples/childprocess sh -c 'echo $TRACEPARENT'
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"go.opentelemetry.io/contrib/propagators/envcar"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/otelsetup"
)

var tracer = otel.Tracer("build")

func main() {
	flag.Parse()
	otelsetup.Main(func(ctx context.Context) error {
		// Read once, at the start: OpenTelemetry, "Environment Variables as
		// Context Propagation Carriers".
		ctx = otel.GetTextMapPropagator().Extract(ctx, &envcar.Carrier{})
		return run(ctx, flag.Args())
	})
}

// run makes the span of this process, which lasts as long as run does.
func run(ctx context.Context, args []string) error {
	ctx, span := tracer.Start(ctx, filepath.Base(os.Args[0]))
	defer span.End()
	if len(args) == 0 {
		slog.InfoContext(ctx, "nothing to run")
		return nil
	}
	return execute(ctx, args[0], args[1:]...)
}

// execute runs a command under a client span, which is what the semantic
// conventions for CLI programs call for on the caller's side.
func execute(ctx context.Context, name string, args ...string) error {
	ctx, span := tracer.Start(ctx, filepath.Base(name), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.ProcessExecutableName(filepath.Base(name))))
	defer span.End()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = environ(ctx)
	err := cmd.Run()
	if cmd.ProcessState != nil {
		span.SetAttributes(semconv.ProcessExitCode(cmd.ProcessState.ExitCode()), semconv.ProcessPID(cmd.ProcessState.Pid()))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// environ is the environment of this process with the trace of ctx in place of
// the one that this process was started with. All of that one has to go: when ctx
// holds no baggage, nothing overwrites BAGGAGE, and the child would take it for
// part of the new context.
func environ(ctx context.Context) []string {
	propagator := otel.GetTextMapPropagator()
	var carried []string
	for _, field := range propagator.Fields() {
		carried = append(carried, strings.ToUpper(field))
	}
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains(carried, name)
	})
	propagator.Inject(ctx, &envcar.Carrier{SetEnvFunc: func(name, value string) {
		env = append(env, name+"="+value)
	}})
	return env
}
