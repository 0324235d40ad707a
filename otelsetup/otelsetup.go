package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	nooplog "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

// ShutdownTimeout bounds [Telemetry.Shutdown] when its context has no
// deadline, and the flush at the end of [Main].
const ShutdownTimeout = 5 * time.Second

// Telemetry is a running SDK. Its methods are safe for concurrent use.
type Telemetry struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
	loggers log.LoggerProvider

	signals     []signalLife
	diagnostics *diagnostics
	settings    []Setting
	problems    []error
	tallies     []*tally
	outbox      *outbox  // nil if nothing is sent by OTLP over HTTP
	restore     []func() // undone last to first
	once        sync.Once
	err         error
}

// signalLife is the provider of one signal, as far as its life goes.
type signalLife struct {
	name     string
	provider interface {
		ForceFlush(ctx context.Context) error
		Shutdown(ctx context.Context) error
	}
}

// hook is something with no more of a life than its end.
type hook func(context.Context) error

func (hook) ForceFlush(context.Context) error     { return nil }
func (h hook) Shutdown(ctx context.Context) error { return h(ctx) }

// running is true between Start and Shutdown: the globals can be set once.
var running struct {
	sync.Mutex
	started bool
}

var errRunning = errors.New("otelsetup: Start was called before the Shutdown of the Telemetry that is running")

// Start sets up traces, metrics and logs as the OTEL_* environment variables
// say, and makes them global: [otel.GetTracerProvider] and its siblings, the
// propagator, the default logger of log/slog and of log, and
// [http.DefaultTransport], whose requests are traced from then on.
//
// Telemetry never stops the program: when a variable holds a value that cannot
// be used, its default applies and the error (an [*EnvError] for each,
// joined) says so. The Telemetry is nil only if one is running already.
func Start(ctx context.Context, opts ...Option) (*Telemetry, error) {
	running.Lock()
	defer running.Unlock()
	if running.started {
		return nil, errRunning
	}
	cfg := config{printer: newPrinter(), defaultTransport: true}
	for _, o := range opts {
		o.apply(&cfg)
	}
	t := &Telemetry{}
	e := &Env{}
	printer := newIDHandler(cfg.printer)
	fileErr := e.readConfigFile()
	t.setDiagnostics(&diagnostics{printer: printer, level: e.logLevel()})

	before := otel.GetTextMapPropagator()
	otel.SetTextMapPropagator(e.propagator(cfg.propagator))
	t.onShutdown(func() { otel.SetTextMapPropagator(before) })

	var handler slog.Handler = printer
	var err error
	if e.Bool("OTEL_SDK_DISABLED") {
		t.tracers, t.meters, t.loggers = nooptrace.NewTracerProvider(), noopmetric.NewMeterProvider(), nooplog.NewLoggerProvider()
	} else {
		handler, err = t.startSDK(ctx, e, &cfg, printer)
	}
	t.setGlobals()
	t.onShutdown(setDefaultLogger(handler))
	if cfg.defaultTransport {
		stop, transportErr := traceDefaultTransport(cfg.transport)
		err = errors.Join(err, transportErr)
		t.onShutdown(stop)
	}
	for _, f := range e.onShutdown {
		t.signals = append(t.signals, signalLife{"configuration", hook(f)})
	}
	running.started = true
	t.tallies = cfg.tallies
	t.settings = slices.Concat(e.settings, cfg.settings())
	t.problems = flatten(append(append([]error{fileErr}, e.problems...), err)...)
	t.diagnostics.problems(t.problems)
	return t, errors.Join(t.problems...)
}

// flatten takes joined errors apart.
func flatten(errs ...error) []error {
	var flat []error
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only what errors.Join returns as it is
			flat = append(flat, flatten(joined.Unwrap()...)...)
		} else if err != nil {
			flat = append(flat, err)
		}
	}
	return flat
}

// setDiagnostics makes d what the SDK reports to.
func (t *Telemetry) setDiagnostics(d *diagnostics) {
	t.diagnostics = d
	previous := otel.GetErrorHandler()
	otel.SetErrorHandler(d)
	otel.SetLogger(logr.New(sink{diagnostics: d}))
	t.onShutdown(func() {
		otel.SetErrorHandler(previous)
		// The logger before cannot be asked for. The default one prints errors.
		otel.SetLogger(logr.New(sink{diagnostics: &diagnostics{printer: slog.Default().Handler(), level: slog.LevelError}}))
	})
}

// startSDK makes the three providers, and the handler for log records.
func (t *Telemetry) startSDK(ctx context.Context, e *Env, cfg *config, printer slog.Handler) (slog.Handler, error) {
	t.diagnostics.silence(true)
	defer t.diagnostics.silence(false)
	res, resErr := e.resource(ctx, cfg)
	if e.file != nil {
		defer hideEnvironment()()
	}
	defer e.hideMalformedAttributes()()
	// The metrics come first, because the sampler has some.
	mp, metricErr := e.meters(ctx, res, cfg)
	e.metrics = mp
	tp, traceErr := e.tracerProvider(ctx, res, cfg)
	lp, export, printed, logErr := e.loggerProvider(ctx, res, cfg)
	tracers := &TracerProvider{sdk: tp}
	t.onShutdown(func() { tracers.stopped.Store(true) })
	t.tracers, t.meters, t.loggers = tracers, mp, lp
	t.signals = []signalLife{{"traces", tp}, {"metrics", mp}, {"logs", lp}}
	t.outbox = cfg.outbox
	t.diagnostics.silence(false) // what the spool has lost is to be said
	openErr := t.outbox.open(e, mp)
	runtimeErr := runtime.Start(runtime.WithMeterProvider(mp))
	err := errors.Join(resErr, traceErr, metricErr, logErr, openErr, runtimeErr)
	if !export {
		return printer, err
	}
	exported := otelslog.NewHandler(instrumentationName, otelslog.WithLoggerProvider(lp))
	if !printed {
		return exported, err
	}
	return slog.NewMultiHandler(printer, exported), err
}

// meters makes the meter provider.
func (e *Env) meters(ctx context.Context, res *resource.Resource, cfg *config) (MeterProvider, error) {
	if e.file == nil {
		return e.meterProvider(ctx, res, cfg)
	}
	if e.file.Meters == nil {
		return sdkmetric.NewMeterProvider(), nil // without a reader, nothing is recorded
	}
	return e.file.Meters(ctx, res)
}

// instrumentationName is the scope of what this package records itself.
const instrumentationName = "github.com/clewtrace/clew/otelsetup"

func (t *Telemetry) setGlobals() {
	tracers, meters, loggers := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	otel.SetTracerProvider(t.tracers)
	otel.SetMeterProvider(t.meters)
	otel.SetLoggerProvider(t.loggers)
	t.onShutdown(func() {
		otel.SetTracerProvider(tracers)
		otel.SetMeterProvider(meters)
		otel.SetLoggerProvider(loggers)
	})
}

func (t *Telemetry) onShutdown(f func()) { t.restore = append(t.restore, f) }

// TracerProvider returns the provider that Start made global.
func (t *Telemetry) TracerProvider() trace.TracerProvider { return t.tracers }

// MeterProvider returns the provider that Start made global.
func (t *Telemetry) MeterProvider() metric.MeterProvider { return t.meters }

// LoggerProvider returns the provider that Start made global.
func (t *Telemetry) LoggerProvider() log.LoggerProvider { return t.loggers }

// ForceFlush delivers what has been recorded so far, all signals at once. It
// returns when that is done, or at ctx's deadline ([ShutdownTimeout] from now
// if it has none), with what went wrong: nil means that collectors reached by
// OTLP over HTTP have taken all of it.
func (t *Telemetry) ForceFlush(ctx context.Context) error {
	ctx, cancel := bounded(ctx)
	defer cancel()
	before := t.outbox.dropped()
	err := t.each(ctx, func(ctx context.Context, s signalLife) error { return s.provider.ForceFlush(ctx) })
	return errors.Join(err, t.outbox.flush(ctx, before))
}

// Shutdown delivers what has been recorded, all signals at once, stops the SDK
// and puts the globals back as Start found them, but for the SDK's own logger,
// which prints errors to [slog.Default] from then on. It returns when that is done,
// or at ctx's deadline ([ShutdownTimeout] from now if it has none), with what
// was not delivered since Start ([*UndeliveredError]), and why. With a spool, it
// does not wait for a collector that is away: what is left is kept for the next
// start. Later calls return the result of the first.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.once.Do(func() {
		t.diagnostics.collect()
		ctx, cancel := bounded(ctx)
		defer cancel()
		left, err := t.stop(ctx)
		var lost []error
		for _, signal := range []string{signalTraces, signalMetrics, signalLogs} {
			for _, count := range t.tallies {
				if count.signal == signal {
					lost = append(lost, count.err(left[signal]))
				}
			}
		}
		t.err = errors.Join(errors.Join(lost...), t.diagnostics.collectedErrors(), err)
		running.Lock()
		defer running.Unlock()
		for _, restore := range slices.Backward(t.restore) {
			restore()
		}
		running.started = false
	})
	return t.err
}

// stop ends the providers, then the outbox. left is why something stayed in
// that, by signal.
func (t *Telemetry) stop(ctx context.Context) (left map[string][]error, err error) {
	// A provider whose context has ended does not even stop, so each gets
	// one that lasts; only the waiting ends with ctx.
	lasting := time.Now().Add(ShutdownTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.After(lasting) {
		lasting = deadline
	}
	stop, cancel := context.WithDeadline(context.WithoutCancel(ctx), lasting)
	context.AfterFunc(stop, cancel)
	err = t.each(ctx, func(_ context.Context, s signalLife) error { return s.provider.Shutdown(stop) })
	left, outboxErr := t.outbox.shutdown(ctx)
	return left, errors.Join(err, outboxErr)
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, ShutdownTimeout)
}

// each runs do for every signal at the same time. A provider that does not
// keep to the deadline is left behind: nothing here waits longer than ctx.
func (t *Telemetry) each(ctx context.Context, do func(context.Context, signalLife) error) error {
	results := make([]chan error, len(t.signals))
	for i, s := range t.signals {
		results[i] = make(chan error, 1)
		go func() { results[i] <- do(ctx, s) }()
	}
	var errs []error
	for i, s := range t.signals {
		if err := resultBefore(ctx, results[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	return errors.Join(errs...)
}

// resultBefore prefers a result over the end of ctx.
func resultBefore(ctx context.Context, result <-chan error) error {
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-result:
		return err
	default:
		return fmt.Errorf("not delivered in time: %w", ctx.Err())
	}
}
