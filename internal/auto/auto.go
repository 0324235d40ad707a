// Package auto is the telemetry of a program that "clew go" has built. It sets
// the hooks of a patched standard library when the program starts, and sends
// what is left when the program ends.
//
// It is compiled into that standard library as clew/auto, with its own copies of
// all that it imports, and is of no use elsewhere: outside of a patched standard
// library it does not link.
package auto

import (
	"context"
	"log"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/otelsetup"
	_ "github.com/clewtrace/clew/otelsetup/clientcert" // its variables are read
	"github.com/clewtrace/clew/otelsetup/extend"
)

const scopeName = "github.com/clewtrace/clew/internal/auto"

var (
	telemetry *otelsetup.Telemetry // nil: the program runs as if plain go had built it
	tracer    trace.Tracer
	config    settings.Auto
)

func init() {
	if built == "" {
		return
	}
	if config = settings.ReadAuto(os.LookupEnv); config.Off {
		return
	}
	within(suppressed, start) // what the SDK starts inherits that
	if telemetry == nil {
		return
	}
	tracer = otel.Tracer(scopeName)
	installHTTP()
	installLog()
	installSQL()
	installRPC()
	installExit()
}

// start starts the SDK. The loggers that it makes the default ones are the
// program's affair, so they are put back, and the handler that exports is kept.
func start() {
	restore := keepLoggers()
	defer restore()
	telemetry, _ = otelsetup.Start(context.Background(), //nolint:errcheck // nothing else has called Start
		otelsetup.WithoutDefaultTransport(),
		otelsetup.WithLogHandler(newDiagnostics()),
		otelsetup.WithSpanProcessor(open),
		otelsetup.Customize(extend.Customizers{OTLPTransport: watchRefusals, SpanProcessor: open.watch}))
	exporting = slog.Default().Handler()
	if !asked() {
		for _, p := range telemetry.Report().Problems {
			slog.New(onStderr()).Warn("telemetry", "error", p.String())
		}
	}
}

// keepLoggers returns what puts the default loggers back as they are now.
func keepLoggers() (restore func()) {
	logger, writer, flags, prefix := slog.Default(), log.Writer(), log.Flags(), log.Prefix()
	return func() {
		slog.SetDefault(logger)
		log.SetOutput(writer)
		log.SetFlags(flags)
		log.SetPrefix(prefix)
	}
}

// newDiagnostics returns the handler of what telemetry has to say of itself. The
// output of the program stays as it is unless OTEL_LOG_LEVEL asks for it. Only a
// setting that cannot be used is told in any case, once.
func newDiagnostics() slog.Handler {
	if !asked() {
		return slog.DiscardHandler
	}
	return diagnostics{onStderr()}
}

// asked reports whether telemetry may print all that it has to say.
func asked() bool { return strings.TrimSpace(os.Getenv("OTEL_LOG_LEVEL")) != "" }

func onStderr() slog.Handler {
	return slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})
}

// diagnostics leaves out the program's own records, which the program prints.
type diagnostics struct{ slog.Handler }

func (d diagnostics) Handle(ctx context.Context, r slog.Record) error {
	if ctx.Value(programKey{}) != nil {
		return nil
	}
	return d.Handler.Handle(ctx, r)
}

func (d diagnostics) WithAttrs(attrs []slog.Attr) slog.Handler {
	return diagnostics{d.Handler.WithAttrs(attrs)}
}

func (d diagnostics) WithGroup(name string) slog.Handler {
	return diagnostics{d.Handler.WithGroup(name)}
}
