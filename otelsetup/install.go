package otelsetup

import (
	"log/slog"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/internal/sloghandler"
)

// diagnose makes the SDK report to t, which is silent until [Telemetry.install]:
// while the SDK is built it reads the same variables, and has less to say about
// a bad value.
func (t *Telemetry) diagnose(c *config, level slog.Level) {
	t.diagnostics = &diagnostics{printer: sloghandler.WithIDs(c.printer), level: level, silent: true}
	replace[otel.ErrorHandler](t, t.diagnostics, otel.GetErrorHandler, otel.SetErrorHandler)
	otel.SetLogger(logr.New(sink{diagnostics: t.diagnostics}))
	t.onShutdown(func() {
		// The logger before cannot be asked for. The default one prints errors.
		otel.SetLogger(logr.New(sink{diagnostics: &diagnostics{printer: slog.Default().Handler(), level: slog.LevelError}}))
	})
}

// install makes what was built global. Each step leaves behind what undoes it.
func (t *Telemetry) install(c *config) {
	p := t.parts
	t.diagnostics.silence(false)

	replace[propagation.TextMapPropagator](t, &installed{p.propagator}, otel.GetTextMapPropagator, otel.SetTextMapPropagator)

	tracers.sdk.Store(p.tracers)
	meters.use(p.meters)
	loggers.sdk.Store(p.loggers)
	t.onShutdown(func() {
		tracers.sdk.Store(nil)
		meters.use(nil)
		loggers.sdk.Store(nil)
	})
	replace[trace.TracerProvider](t, tracers, otel.GetTracerProvider, otel.SetTracerProvider)
	replace[metric.MeterProvider](t, meters, otel.GetMeterProvider, otel.SetMeterProvider)
	replace[log.LoggerProvider](t, loggers, otel.GetLoggerProvider, otel.SetLoggerProvider)

	t.onShutdown(sloghandler.SetDefault(p.handler, p.printer))
	if !c.defaultTransport {
		return
	}
	stop, err := traceDefaultTransport(c.transport)
	if err != nil {
		p.problems = append(p.problems, settings.Problem{Reason: err.Error()})
	}
	t.onShutdown(stop)
}

// replace sets a global. At the end it puts back what was there before, unless the
// program has set one of its own since. It must be possible to compare ours.
func replace[T any](t *Telemetry, ours T, get func() T, set func(T)) {
	before := get()
	set(ours)
	t.onShutdown(func() {
		if any(get()) == any(ours) {
			set(before)
		}
	})
}

// installed is a propagator that can be compared, whatever it is made of.
type installed struct{ propagation.TextMapPropagator }

func (t *Telemetry) onShutdown(f func()) { t.restore = append(t.restore, f) }
