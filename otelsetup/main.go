package otelsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Main runs a program with telemetry: it calls [Start], then run, then
// [Telemetry.Shutdown] within [ShutdownTimeout], and exits. It does not return.
// Functions deferred inside run are called before it exits.
//
// SIGINT and SIGTERM cancel the context of run, and what has been recorded is
// sent at once. A run that has not returned by the end of the grace
// ([WithGrace]) is left, and a second signal ends the program at once.
//
// The exit code is
//
//   - 0 when run returned nil, whatever signal came, or [http.ErrServerClosed]
//     after a signal;
//   - 128 plus the number of the signal when run returned the error of its
//     context after a signal, or had to be left;
//   - 1 when run returned another error, or panicked.
//
// Such an error or panic is logged with the ids of the span that recorded it:
// that error or one that it wraps was given to the span's RecordError, or the
// panic passed its deferred End. It is recorded on a span named "main" if there
// is none.
func Main(run func(ctx context.Context) error, opts ...MainOption) {
	os.Exit(runMain(run, opts))
}

// MainOption changes what [Main] does. Every [Option] is one.
type MainOption interface{ applyMain(c *mainConfig) }

type mainConfig struct {
	grace time.Duration
	start []Option
}

type mainOption func(*mainConfig)

func (o mainOption) applyMain(c *mainConfig) { o(c) }

// WithGrace sets how long run may take to return after a signal. The default is
// 10 s. Zero or less leaves run at once.
func WithGrace(d time.Duration) MainOption {
	return mainOption(func(c *mainConfig) { c.grace = d })
}

// noticeAfter is how long a run may take to return before a line says so.
const noticeAfter = time.Second

// program is what Main runs.
type program struct {
	telemetry *Telemetry // nil if another one is running
	grace     time.Duration
	cancel    context.CancelFunc
	received  atomic.Int32  // the signal
	returned  chan struct{} // closed when run has
	ending    atomic.Bool   // somebody has begun to end the program
	stopping  chan struct{} // closed when the telemetry is about to be shut down
	flushed   chan struct{} // closed when what had been recorded at the signal is sent
}

func runMain(run func(ctx context.Context) error, opts []MainOption) (code int) {
	c := mainConfig{grace: 10 * time.Second}
	for _, o := range opts {
		if o != nil {
			o.applyMain(&c)
		}
	}
	telemetry, err := Start(context.Background(), c.start...)
	if err != nil {
		slog.Error("telemetry", slog.Any("error", err))
	}
	recorded := &recordings{}
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), recordingsKey{}, recorded))
	defer cancel()
	p := &program{telemetry: telemetry, grace: c.grace, cancel: cancel, returned: make(chan struct{}), stopping: make(chan struct{}), flushed: make(chan struct{})}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go p.await(signals)

	failed := call(ctx, run)
	close(p.returned)
	signal.Stop(signals)
	if !p.ending.CompareAndSwap(false, true) {
		select {} // the program is ending
	}
	code = p.code(failed.err)
	if code == 1 {
		recorded.log(failed)
	}
	p.shutdown()
	return code
}

// code is the exit code for what run returned.
func (p *program) code(err error) int {
	s := int(p.received.Load())
	switch {
	case err == nil, s != 0 && errors.Is(err, http.ErrServerClosed):
		return 0
	case s != 0 && errors.Is(err, context.Canceled):
		return 128 + s
	}
	return 1
}

// flush sends what has been recorded until the telemetry is shut down.
func (p *program) flush() {
	defer close(p.flushed)
	if p.telemetry == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-p.stopping
		cancel()
	}()
	p.telemetry.parts.sendRecorded(ctx)
}

// shutdown sends the rest within [ShutdownTimeout]. It takes over from flush: two that
// wait for the same collector would wait twice.
func (p *program) shutdown() {
	close(p.stopping)
	if p.telemetry == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), ShutdownTimeout)
	defer cancel()
	if p.received.Load() != 0 {
		select {
		case <-p.flushed:
		case <-time.After(ShutdownTimeout / 2):
		}
	}
	if err := p.telemetry.Shutdown(ctx); err != nil {
		slog.Error("telemetry not delivered", slog.Any("error", err))
	}
}

// await passes the first signal on to run, and ends the program if run does
// not return in time.
func (p *program) await(signals chan os.Signal) {
	var s os.Signal
	select {
	case s = <-signals:
	case <-p.returned:
		return
	}
	signal.Stop(signals) // the next one has its default effect
	number := s.(syscall.Signal)
	p.received.Store(int32(number)) //nolint:gosec // a signal's number
	p.cancel()
	go p.flush()
	notice := max(0, min(noticeAfter, p.grace))
	if p.waits(notice) {
		return
	}
	rest := max(0, p.grace-notice)
	slog.Warn("the program goes on after a signal: run has not returned", slog.String("signal", s.String()), slog.Duration("leaving_it_in", rest))
	if p.waits(rest) || !p.ending.CompareAndSwap(false, true) {
		return
	}
	p.shutdown()
	os.Exit(128 + int(number))
}

// waits reports whether run returns within d.
func (p *program) waits(d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-p.returned:
		return true
	case <-timer.C:
		return false
	}
}

// failure is how run ended.
type failure struct {
	err      error
	panicked any
	stack    string // of the panic
}

// call returns run's error, or its panic as an error with a stack.
func call(ctx context.Context, run func(context.Context) error) (f failure) {
	defer func() {
		if v := recover(); v != nil {
			f = failure{fmt.Errorf("panic: %v", v), v, string(debug.Stack())}
		}
	}()
	return failure{err: run(ctx)}
}

// log logs what ended the program inside the span that recorded it.
func (r *recordings) log(f failure) {
	attrs := []slog.Attr{slog.Any("error", f.err)}
	if f.stack != "" {
		attrs = append(attrs, slog.String("stack", f.stack))
	}
	ctx := context.Background()
	if span, ok := r.find(f); ok {
		ctx = trace.ContextWithSpanContext(ctx, span)
	} else {
		var span trace.Span
		ctx, span = otel.Tracer(instrumentationName).Start(ctx, "main")
		defer span.End()
		var opts []trace.EventOption
		if f.stack != "" {
			opts = append(opts, trace.WithAttributes(semconv.ExceptionStacktrace(f.stack)))
		}
		span.RecordError(f.err, opts...)
		span.SetStatus(codes.Error, f.err.Error())
	}
	slog.LogAttrs(ctx, slog.LevelError, "program failed", attrs...)
}

// Serve listens on srv.Addr and serves until ctx ends; then the requests that
// have begun are answered, for at most [ShutdownTimeout]. It returns nil after
// that, and an error if it cannot listen, if serving fails, or if requests had
// to be cut off.
//
// An empty srv.Addr is ":http". All other fields of srv keep their meaning.
// Certificates in srv.TLSConfig are an error: [ServeTLS] serves HTTPS.
func Serve(ctx context.Context, srv *http.Server) error {
	if hasCertificates(srv) {
		return errors.New("Serve: srv.TLSConfig has certificates, which ServeTLS serves with")
	}
	return serve(ctx, srv, ":http", srv.Serve)
}

// ServeTLS is [Serve] over HTTPS. The files hold the server's certificate, with
// the intermediate ones behind it, and its private key, in PEM. Both names are
// empty if srv.TLSConfig has the certificates. An empty srv.Addr is ":https".
func ServeTLS(ctx context.Context, srv *http.Server, certFile, keyFile string) error {
	if certFile == "" && keyFile == "" && !hasCertificates(srv) {
		return errors.New("ServeTLS: no certificate: neither files nor srv.TLSConfig name one")
	}
	return serve(ctx, srv, ":https", func(l net.Listener) error { return srv.ServeTLS(l, certFile, keyFile) })
}

func hasCertificates(srv *http.Server) bool {
	c := srv.TLSConfig
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

func serve(ctx context.Context, srv *http.Server, addr string, accept func(net.Listener) error) error {
	if srv.Addr != "" {
		addr = srv.Addr
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- accept(listener) }()
	select {
	case err := <-served:
		if errors.Is(err, http.ErrServerClosed) {
			return nil // by the program, whose own call of Shutdown waits for the requests
		}
		return err
	case <-ctx.Done():
	}
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), ShutdownTimeout)
	defer cancel()
	err = srv.Shutdown(graceful)
	if err != nil {
		err = fmt.Errorf("requests were cut off: %w", errors.Join(err, srv.Close()))
	}
	<-served //nolint:errcheck // that it is closed
	return err
}
