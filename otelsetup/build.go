package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"time"

	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/contrib/propagators/jaeger"
	"go.opentelemetry.io/contrib/propagators/ot"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/settings"
	"github.com/clewtrace/clew/internal/sloghandler"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/propagator"
	"github.com/clewtrace/clew/propagator/trust"
)

// ShutdownTimeout bounds [Telemetry.ForceFlush] and [Telemetry.Shutdown] when
// their context has no deadline, the flush at the end of [Main], and the
// graceful end of [Serve].
const ShutdownTimeout = 5 * time.Second

// instrumentationName is the scope of what this package records itself.
const instrumentationName = "github.com/clewtrace/clew/otelsetup"

// parts is what [build] makes of the settings. None of it is global.
type parts struct {
	propagator propagation.TextMapPropagator
	tracers    *sdktrace.TracerProvider // nil, as the next two: nothing is recorded
	meters     *sdkmetric.MeterProvider
	loggers    *sdklog.LoggerProvider
	handler    slog.Handler // of the program's log
	printer    slog.Handler // what it prints with; nil: nothing is printed

	delivery *delivery.Transport // nil: nothing is sent as OTLP
	idle     []func()            // close the connections that delivery does not need any more
	lives    []life
	problems []settings.Problem
}

// life is something that has to be ended.
type life struct {
	name  string
	flush func(ctx context.Context) error // may be nil
	end   func(ctx context.Context) error
}

// builder is what the steps of building share.
type builder struct {
	*parts
	settings *settings.Settings
	config   *config
	errors   otel.ErrorHandler // of delivery
	resource *resource.Resource
	links    []link
}

// build makes the parts that the settings ask for, and the program's options
// change. What cannot be made is a problem, and left out.
func build(ctx context.Context, s *settings.Settings, c *config, errors otel.ErrorHandler) *parts {
	b := &builder{parts: &parts{}, settings: s, config: c, errors: errors}
	b.buildPropagator()
	b.handler, b.printer = sloghandler.WithIDs(c.printer), c.printer
	if !s.Disabled {
		b.buildSDK(ctx)
	}
	return b.parts
}

func (b *builder) buildSDK(ctx context.Context) {
	b.buildResource(ctx)
	b.buildDelivery()
	// The metrics come first, because the sampler has some.
	b.buildMeters(ctx)
	if b.delivery != nil {
		b.delivery.Observe(b.meters)
	}
	b.buildTracers(ctx)
	b.buildLoggers(ctx)
	b.problem("", observeRuntime(b.meters))
}

// problem notes why a part could not be made. Each of joined errors is one.
func (b *builder) problem(name string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only what errors.Join returns as it is
		for _, one := range joined.Unwrap() {
			b.problem(name, one)
		}
	} else if err != nil {
		b.problems = append(b.problems, settings.Problem{Name: name, Reason: err.Error()})
	}
}

// builtIn are the propagators that have a name without being registered. The
// name clew is the one that package propagator/autoprop registers, where
// tracecontext is taken.
var builtIn = map[string]propagation.TextMapPropagator{
	"tracecontext": propagator.New(), "clew": propagator.New(), "baggage": propagation.Baggage{},
	"b3": undecidedB3(), "b3multi": undecidedB3(b3.WithInjectEncoding(b3.B3MultipleHeader)),
	"jaeger": jaeger.Jaeger{}, "xray": undecidedXRay(), "ottrace": ot.OT{},
}

func (b *builder) buildPropagator() {
	var chosen []propagation.TextMapPropagator
	for _, name := range b.settings.Propagators {
		p, ok := builtIn[name]
		if !ok {
			p, ok = extend.Propagators.Lookup(name)
		}
		if ok {
			chosen = append(chosen, p)
		}
	}
	all := propagation.NewCompositeTextMapPropagator(chosen...)
	for _, c := range b.config.custom {
		all = custom(c.Propagator, all)
	}
	b.propagator = trust.Propagator(all)
}

// custom applies what a program wants changed.
func custom[T any](change func(T) T, v T) T {
	if change == nil {
		return v
	}
	if changed := change(v); any(changed) != nil {
		return changed
	}
	return v
}

// buildHandler makes the program's log go where the settings say.
func (b *builder) buildHandler(exported bool) {
	if !exported {
		return
	}
	enabled := b.exported()
	exporting := sloghandler.New(loggers, instrumentationName, enabled)
	switch {
	case !b.settings.PrintLogs:
		b.handler, b.printer = exporting, nil
	case enabled == nil:
		b.handler = sloghandler.AsPrinted(b.handler, exporting)
	default:
		b.handler = sloghandler.Both(b.handler, exporting)
	}
}

// env is what a factory learns.
type env struct {
	*builder
	arg string
}

func (e env) MeterProvider() metric.MeterProvider { return e.meters }
func (e env) SamplerArg() string                  { return e.arg }
func (e env) Text(name string) string {
	if v, ok := e.settings.Values[name].(string); ok {
		return v
	}
	return e.settings.Lookup(name)
}

func (e env) Number(name string) int {
	v, _ := e.settings.Values[name].(int)
	return v
}

func (e env) Duration(name string) time.Duration {
	v, _ := e.settings.Values[name].(time.Duration)
	return v
}

func (e env) URL(name string) *url.URL {
	v, _ := e.settings.Values[name].(*url.URL)
	return v
}

func (e env) OnShutdown(f func(ctx context.Context) error) {
	e.lives = append(e.lives, life{name: "plugged in", end: f})
}

// flush delivers what has been recorded so far.
func (p *parts) flush(ctx context.Context) error {
	steps := begin(p.lives, func(l life) error {
		if l.flush == nil {
			return nil
		}
		return l.flush(ctx)
	})
	waitHalf(ctx, steps) // one that hangs takes no time from what is handed over already
	late := slices.ContainsFunc(steps, func(s *step) bool { return !s.over() })
	err := p.flushDelivery(ctx)
	err = errors.Join(results(ctx, steps), err)
	if late && ctx.Err() == nil { // it has handed over something since
		err = errors.Join(err, p.flushDelivery(ctx))
	}
	return err
}

func (p *parts) flushDelivery(ctx context.Context) error {
	if p.delivery == nil {
		return nil
	}
	return p.delivery.ForceFlush(ctx)
}

// sendRecorded delivers the spans and log records that have been recorded so
// far. Metrics are sent as a whole at the end. The waiting ends early with ctx,
// but not the exporting: an exporter that is cut short may lose what it has.
func (p *parts) sendRecorded(ctx context.Context) {
	whole, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownTimeout)
	context.AfterFunc(whole, cancel)
	steps := begin(p.lives, func(l life) error {
		if l.name == settings.SignalMetrics || l.flush == nil {
			return nil
		}
		return l.flush(whole)
	})
	waiting, stop := context.WithTimeout(ctx, ShutdownTimeout)
	defer stop()
	waitHalf(waiting, steps)
	p.flushDelivery(ctx) //nolint:errcheck // shutdown says what is left
}

// shutdown ends the providers, then the delivery.
//
// Spans and log records are handed over first, then the metrics end, then the
// rest: what makes and passes on spans has metrics that count up to the last of
// them, and takes them back when it ends. Half of the time is for that, and the other
// half for the delivery. Whoever takes longer than half of the time that is left for
// its step is not waited for, so that the others have some; what comes of it is looked
// at in the end.
func (p *parts) shutdown(ctx context.Context) error {
	// A provider whose context has ended does not even stop, so each gets
	// one that lasts; only the waiting ends with ctx.
	lasting := time.Now().Add(ShutdownTimeout)
	if deadline, ok := ctx.Deadline(); ok && deadline.After(lasting) {
		lasting = deadline
	}
	stop, cancel := context.WithDeadline(context.WithoutCancel(ctx), lasting)
	context.AfterFunc(stop, cancel)
	end := func(l life) error { return l.end(stop) }
	var metrics, others []life
	for _, l := range p.lives {
		if l.name == settings.SignalMetrics {
			metrics = append(metrics, l)
		} else {
			others = append(others, l)
		}
	}
	handing, done := half(ctx)
	defer done()
	flushed := begin(others, func(l life) error {
		if l.flush == nil {
			return nil
		}
		return l.flush(stop)
	})
	waitHalf(handing, flushed)
	ended := begin(metrics, end)
	waitHalf(handing, ended)
	ended = append(ended, begin(others, end)...)
	for _, s := range ended {
		s.before(handing)
	}
	undelivered := p.endDelivery(ctx)
	flushed = slices.DeleteFunc(flushed, func(s *step) bool { return !s.over() }) // the end says what is left
	return errors.Join(undelivered, results(ctx, flushed), results(ctx, ended))
}

// step is what is being done for a life.
type step struct {
	name string
	done chan struct{}
	err  error // when it is done
}

// begin runs do for all of lives at the same time.
func begin(lives []life, do func(life) error) []*step {
	var steps []*step
	for _, l := range lives {
		s := &step{name: l.name, done: make(chan struct{})}
		steps = append(steps, s)
		go func() {
			defer close(s.done)
			s.err = do(l)
		}()
	}
	return steps
}

// over reports whether the step is done.
func (s *step) over() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// before waits for the step until ctx ends, and reports whether it is done.
func (s *step) before(ctx context.Context) bool {
	select {
	case <-s.done:
		return true
	case <-ctx.Done():
		return s.over()
	}
}

// results waits for the steps until ctx ends, and returns what went wrong.
func results(ctx context.Context, steps []*step) error {
	var errs []error
	for _, s := range steps {
		if !s.before(ctx) {
			errs = append(errs, fmt.Errorf("%s: not delivered in time: %w", s.name, ctx.Err()))
		} else if s.err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, s.err))
		}
	}
	return errors.Join(errs...)
}

// waitHalf waits for the steps for half of the time that ctx leaves.
func waitHalf(ctx context.Context, steps []*step) {
	ctx, cancel := half(ctx)
	defer cancel()
	for _, s := range steps {
		s.before(ctx)
	}
}

// half returns a context that ends after half of the time that ctx leaves.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}
