package auto

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	_ "unsafe" // for go:linkname
)

//go:linkname onExit runtime.clewOnExit
func onExit(f func())

//go:linkname hookPanic runtime.clewPanic
var hookPanic func(v any)

//go:linkname armSignals os/signal.clewArm
func armSignals(c chan<- os.Signal, sigs []os.Signal)

//go:linkname disarmSignals os/signal.clewDisarm
func disarmSignals()

func installExit() {
	onExit(flush) // the return of main, and os.Exit
	hookPanic = panicked
	awaitSignals()
}

var (
	flushed sync.Once
	refused atomic.Pointer[context.CancelFunc] // not nil while the end is being sent
)

// flush sends what is left, once, for at most as long as the program may take
// to end. It does so in a goroutine of its own, because the program may end while
// it holds a lock that this needs, as that of package log.
func flush() {
	flushed.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), config.ExitTimeout)
		defer cancel()
		done := make(chan struct{})
		within(suppressed, func() {
			go func() {
				defer close(done)
				defer func() { _ = recover() }() // the program ends as it would have
				open.end(ctx)
				refused.Store(&cancel)
				defer keepLoggersUnlessHeld()()
				telemetry.Shutdown(ctx) //nolint:errcheck // it has reported what was not delivered
			}()
		})
		select {
		case <-done:
			return
		case <-ctx.Done():
		}
		select {
		case <-done:
		case <-time.After(heldFor):
		}
	})
}

// heldFor is how long another goroutine may hold the lock of package log: one
// that is writing to a pipe that nobody reads does not give it back.
const heldFor = 100 * time.Millisecond

// keepLoggersUnlessHeld is keepLoggers, if it is not kept waiting.
func keepLoggersUnlessHeld() (restore func()) {
	kept := make(chan func(), 1)
	go func() { kept <- keepLoggers() }()
	select {
	case restore := <-kept:
		return restore
	case <-time.After(heldFor):
		return func() {}
	}
}

// watchRefusals lets the end of the program not wait for a collector that is
// not there. Delivery by itself waits for RefusedTimeout, since it may be about to
// start, which is too long for a command.
// It also sends in no span, whoever has started the goroutine.
func watchRefusals(_ string, next http.RoundTripper) http.RoundTripper { return &watched{next} }

type watched struct{ next http.RoundTripper }

func (t *watched) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	within(suppressed, func() { resp, err = t.next.RoundTrip(r) }) //nolint:bodyclose // by the caller
	if errors.Is(err, syscall.ECONNREFUSED) {
		if cancel := refused.Load(); cancel != nil {
			(*cancel)()
		}
	}
	return resp, err
}

// panicked sends what is left, and the panic, before a panic that nothing has
// recovered ends the program.
func panicked(v any) {
	r := slog.NewRecord(time.Now(), slog.LevelError, fmt.Sprint("panic: ", v), 0)
	r.AddAttrs(slog.String("exception.type", fmt.Sprintf("%T", v)), slog.String("exception.stacktrace", string(debug.Stack())))
	export(withParent(context.Background()), exporting, r)
	flush()
}

// awaitSignals flushes before a signal ends the program. A signal that the
// program asks for, or ignores, is the program's.
func awaitSignals() {
	var sigs []os.Signal
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			sigs = append(sigs, s)
		}
	}
	c := make(chan os.Signal, 1)
	armSignals(c, sigs)
	go within(suppressed, func() {
		s := <-c
		flush()
		disarmSignals()
		syscall.Kill(syscall.Getpid(), s.(syscall.Signal)) //nolint:errcheck // to this process
	})
}
