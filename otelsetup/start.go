package otelsetup

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/clewtrace/clew/internal/settings"
)

// Telemetry is a running SDK. Its methods are safe for concurrent use.
type Telemetry struct {
	parts       *parts
	diagnostics *diagnostics
	report      Report
	restore     []func() // undone last to first
	once        sync.Once
	err         error
}

// running is true between Start and Shutdown: the globals can be set once.
var running struct {
	sync.Mutex
	started bool
}

var errRunning = errors.New("otelsetup: Start was called before the Shutdown of the Telemetry that is running")

// Start sets up traces, metrics and logs as the OTEL_* environment variables
// say, and makes them global: the providers and the propagator of package otel,
// the default logger of log/slog and of log, and [http.DefaultTransport], whose
// requests are traced from then on.
//
// Telemetry never stops the program. A value that cannot be used is logged once
// and stands in [Telemetry.Report] as a [Problem]; its default applies. Start
// returns an error, and no Telemetry, only if one is running already.
func Start(ctx context.Context, opts ...Option) (*Telemetry, error) {
	running.Lock()
	defer running.Unlock()
	if running.started {
		return nil, errRunning
	}
	c := newConfig(opts)
	s, problems := settings.Read(os.LookupEnv)
	t := &Telemetry{}
	t.diagnose(c, s.LogLevel)
	t.parts = build(ctx, &s, c, otel.ErrorHandlerFunc(t.diagnostics.fromDelivery))
	t.install(c)
	misspelt, _ := s.Misspelt(os.Environ()) // when all have asked for what they read
	t.report = newReport(s.Effective, c, slices.Concat(problems, misspelt, t.parts.problems))
	t.diagnostics.problems(t.report.Problems)
	running.started = true
	return t, nil
}

// TracerProvider returns the provider that Start made global. Its tracers
// outlive it: after [Telemetry.Shutdown] they record nothing, and after another
// [Start] they record there.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return tracers }

// MeterProvider returns the provider that Start made global. Its meters,
// instruments and registered callbacks outlive it as the tracers do: between
// Shutdown and the next Start they record nothing, and no callback is called. A
// callback stays until it is unregistered, that of [metric.WithInt64Callback] and
// its siblings for good.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return meters }

// LoggerProvider returns the provider that Start made global. Its loggers outlive
// it as the tracers do.
func (t *Telemetry) LoggerProvider() log.LoggerProvider { return loggers }

// ForceFlush delivers what has been recorded so far, all signals at once. It
// returns when that is done, or at ctx's deadline ([ShutdownTimeout] from now
// if it has none), with what went wrong: nil means that the collectors
// reached by OTLP have taken all of it. What they have not is a
// [*delivery.UndeliveredError] for each signal, and stays in the queue.
func (t *Telemetry) ForceFlush(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	return t.parts.flush(ctx)
}

// Shutdown delivers what has been recorded, stops the SDK, and puts the globals
// back as Start found them. What the program has set itself since stays. So does the
// SDK's own logger, which prints errors to [slog.Default] from then on. The metrics come last, because some of them tell of
// the spans and log records before them.
//
// It returns when that is done, or at ctx's deadline ([ShutdownTimeout] from now if
// it has none). It does not wait as long for a collector that cannot take anything:
// with a spool, what is left is kept for the next start at once; where nothing
// listens, it gives up after 1 s, or what CLEW_DELIVERY_REFUSED_TIMEOUT says. The
// error has a [*delivery.UndeliveredError] for each signal of which something was
// not delivered since Start. Later calls return the result of the first.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.once.Do(func() {
		t.diagnostics.collect()
		ctx, cancel := bounded(ctx)
		defer cancel()
		err := t.parts.shutdown(ctx)
		t.err = errors.Join(err, t.diagnostics.collectedErrors())
		running.Lock()
		defer running.Unlock()
		for _, restore := range slices.Backward(t.restore) {
			restore()
		}
		running.started = false
	})
	return t.err
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, ShutdownTimeout)
}
