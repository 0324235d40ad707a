// Package slog puts a handler in front of slog's own default handler when it is
// initialised, so that loggers that packages make in their variables reach what
// is set up later, with the context of each record. Until [Use] is called, and
// once that is over, they print what they would have printed without it.
//
// It imports nothing but log/slog and what that imports itself, so that Go
// initialises it early. Its name, and that of its handler, are those that
// programs look for which ask whether slog has a default handler of its own.
package slog

import (
	"context"
	"io"
	"log"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// path is where this package is, unless it has been copied: the copy in the
// standard library of "clew go" must leave the program's loggers alone.
const path = "github.com/clewtrace/clew/internal/slog"

var (
	current    atomic.Pointer[use]
	before     atomic.Pointer[output]
	writerType reflect.Type // of what [slog.SetDefault] gives package log
	initStack  []uintptr    // what calls the init functions, the innermost first
)

// use is what [Use] was called with.
type use struct {
	lines *slog.Logger
	to    func(context.Context) *slog.Logger
}

// output is where package log wrote before [slog.SetDefault] was called.
type output struct {
	writer io.Writer
	flags  int
}

func init() {
	own := slog.Default().Handler()
	_, hooks := reflect.TypeFor[slog.Logger]().FieldByName("clew") // the log/slog of "clew go", which sees each record
	if hooks || reflect.TypeFor[defaultHandler]().PkgPath() != path || !isOwn(own) {
		return
	}
	initStack = make([]uintptr, 16)
	initStack = initStack[:runtime.Callers(2, initStack)]
	writerType = reflect.TypeOf(slog.NewLogLogger(own, slog.LevelInfo).Writer())
	o := &output{log.Writer(), log.Flags()}
	before.Store(o)
	slog.SetDefault(slog.New(&defaultHandler{own: own}))
	log.SetFlags(o.flags)
	log.SetOutput(o.writer)
}

// isOwn reports whether h is slog's own default handler.
func isOwn(h slog.Handler) bool {
	t := reflect.TypeOf(h)
	return t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "log/slog" && t.Elem().Name() == "defaultHandler"
}

// Use has the loggers that were made of the default one while the program was
// initialised hand their records to the logger that to returns for the context of
// each call, until stop is called. If it returns nil, slog's own handler gets the
// record: to must do so for what that logger calls in order to print.
//
// Lines of package log that reach the handler of such a logger go to the logger
// lines. writer and flags are what package log had before, and will have again.
func Use(lines *slog.Logger, to func(context.Context) *slog.Logger, writer io.Writer, flags int) (stop func()) {
	if before.Load() == nil {
		return func() {}
	}
	u := &use{lines, to}
	current.Store(u)
	return func() {
		before.Store(&output{writer, flags})
		current.CompareAndSwap(u, nil)
	}
}

// Own returns slog's own default handler if h is that, or is this package's,
// with the attributes and groups of h.
func Own(h slog.Handler) (own slog.Handler, ok bool) {
	if d, ok := h.(*defaultHandler); ok {
		return d.own, true
	}
	return h, h != nil && isOwn(h)
}

// Undo takes back what [slog.SetDefault] does to package log when it is called
// with the handler of this package. With slog's own it does nothing.
func Undo() {
	o := before.Load()
	if o == nil || current.Load() != nil {
		return
	}
	w, flags := log.Writer(), log.Flags()
	if reflect.TypeOf(w) != writerType {
		if flags != o.flags || !same(w, o.writer) {
			before.Store(&output{w, flags})
		}
		return
	}
	if _, ok := slog.Default().Handler().(*defaultHandler); ok {
		if flags == 0 {
			log.SetFlags(o.flags)
		}
		log.SetOutput(o.writer)
	}
}

// same compares writers of any kind, for some of which == panics.
func same(a, b io.Writer) bool {
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && (t == nil || t.Kind() == reflect.Pointer || reflect.ValueOf(a).Comparable()) && a == b
}

// defaultHandler stands in front of slog's own default handler.
type defaultHandler struct {
	own  slog.Handler
	from *defaultHandler // nil: it is the first
	step func(slog.Handler) slog.Handler
	last atomic.Pointer[derived]
}

// derived is the handler of a logger, with what a defaultHandler adds to it.
type derived struct {
	slog.Handler
	of *slog.Logger
}

// in returns the handler that stands for h where that of l does for the first.
func (h *defaultHandler) in(l *slog.Logger) slog.Handler {
	if h.from == nil {
		return l.Handler()
	}
	last := h.last.Load()
	if last == nil || last.of != l {
		last = &derived{h.step(h.from.in(l)), l}
		h.last.Store(last)
	}
	return last.Handler
}

// handler returns slog's own unless another is in use.
func (h *defaultHandler) handler(ctx context.Context) slog.Handler {
	if u := current.Load(); u != nil {
		if l := u.to(ctx); l != nil {
			return h.in(l)
		}
	}
	return h.own
}

// Enabled implements [slog.Handler].
func (h *defaultHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return h.handler(ctx).Enabled(ctx, l)
}

// Handle implements [slog.Handler].
func (h *defaultHandler) Handle(ctx context.Context, r slog.Record) error {
	if ctx == context.Background() && r.NumAttrs() == 0 && h.isLine(r) {
		if u := current.Load(); u != nil {
			return h.in(u.lines).Handle(ctx, r)
		}
		return printLine(r)
	}
	Undo()
	return h.handler(ctx).Handle(ctx, r)
}

// WithAttrs implements [slog.Handler]. What is made after the program was
// initialised is slog's own again: [slog.SetDefault] leaves package log alone
// only if it is given that.
func (h *defaultHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if current.Load() != nil || !initialising() {
		return h.handler(context.Background()).WithAttrs(attrs)
	}
	kept := slices.Clone(attrs) // a handler may change what it gets
	return &defaultHandler{own: h.own.WithAttrs(attrs), from: h, step: func(to slog.Handler) slog.Handler {
		return to.WithAttrs(slices.Clone(kept))
	}}
}

// WithGroup implements [slog.Handler].
func (h *defaultHandler) WithGroup(name string) slog.Handler {
	if current.Load() != nil || !initialising() {
		return h.handler(context.Background()).WithGroup(name)
	}
	return &defaultHandler{own: h.own.WithGroup(name), from: h, step: func(to slog.Handler) slog.Handler {
		return to.WithGroup(name)
	}}
}

// initialising reports whether an init function, or the initialisation of a
// variable, has called.
func initialising() bool {
	var few [64]uintptr
	calls := few[:]
	n := runtime.Callers(2, calls)
	for n == len(calls) {
		calls = make([]uintptr, 4*n)
		n = runtime.Callers(2, calls)
	}
	return n > len(initStack) && slices.Equal(calls[n-len(initStack):n], initStack)
}

// isLine reports whether r, whose Handle calls, is a line that package log
// writes, with the mutex of its standard logger held: whatever writes through
// that logger waits for ever. That happens if [slog.SetDefault] was called with
// a handler of this package. The lines of a logger of [slog.NewLogLogger] come
// the same way, but without that mutex.
func (h *defaultHandler) isLine(r slog.Record) bool {
	var calls [3]uintptr
	n := runtime.Callers(3, calls[:])
	if n < len(calls) || runtime.FuncForPC(calls[0]-1).Name() != "log/slog.(*handlerWriter).Write" {
		return false
	}
	if r.PC == 0 { // slog.NewLogLogger's have it
		return true
	}
	if !strings.HasPrefix(runtime.FuncForPC(calls[2]-1).Name(), "log.(*Logger).") {
		return true
	}
	// It is a line of package log only if that was told to print the position in
	// the source, and the program uses log.Default.
	_, set := slog.Default().Handler().(*defaultHandler)
	ctx := context.Background()
	return set && h.own.Enabled(ctx, r.Level) && !h.own.Enabled(ctx, r.Level-1) && logWaits()
}

// logWaits reports whether the mutex of log's standard logger is held, by a
// writer that takes long or by the goroutine that calls.
func logWaits() bool {
	free := make(chan struct{})
	go func() {
		log.Writer()
		close(free)
	}()
	select {
	case <-free:
		return false
	case <-time.After(time.Second):
		return true
	}
}

// printLine prints a line as package log would have.
func printLine(r slog.Record) error {
	o := before.Load()
	text := r.Message + "\n"
	if log.Flags() != 0 { // they were set since, and what they ask for is in the line
		_, err := io.WriteString(o.writer, text)
		return err
	}
	const depth = 6 // Output, printLine, Handle, Write, output, Print
	return log.New(o.writer, log.Prefix(), o.flags).Output(depth, strings.TrimPrefix(text, log.Prefix()))
}
