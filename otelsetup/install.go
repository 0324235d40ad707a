package otelsetup

import (
	"log/slog"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/internal/sloghandler"
)

// diagnose makes the SDK report to t, which is silent until [Telemetry.install]:
// while the SDK is built it reads the same variables, and has less to say about
// a bad value.
func (t *Telemetry) diagnose(c *config, level slog.Level) {
	t.diagnostics = &diagnostics{printer: sloghandler.WithIDs(c.printer), level: level, silent: true}
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(t.diagnostics)
	otel.SetLogger(logr.New(sink{diagnostics: t.diagnostics}))
	t.onShutdown(func() {
		otel.SetErrorHandler(previous)
		// The logger before cannot be asked for. The default one prints errors.
		otel.SetLogger(logr.New(sink{diagnostics: &diagnostics{printer: slog.Default().Handler(), level: slog.LevelError}}))
	})
}

// install makes what was built global. Each step leaves behind what undoes it.
func (t *Telemetry) install(c *config) {
	p := t.parts
	t.diagnostics.silence(false)

	propagator := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(p.propagator)
	t.onShutdown(func() { otel.SetTextMapPropagator(propagator) })

	tracerProvider, meterProvider, loggerProvider := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	tracers.sdk.Store(p.tracers)
	meters.use(p.meters)
	loggers.sdk.Store(p.loggers)
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	otel.SetLoggerProvider(loggers)
	t.onShutdown(func() {
		tracers.sdk.Store(nil)
		meters.use(nil)
		loggers.sdk.Store(nil)
		otel.SetTracerProvider(tracerProvider)
		otel.SetMeterProvider(meterProvider)
		otel.SetLoggerProvider(loggerProvider)
	})

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

func (t *Telemetry) onShutdown(f func()) { t.restore = append(t.restore, f) }
