package sloghandler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"

	early "github.com/clewtrace/clew/internal/slog"
)

// SetDefault makes h the default of log/slog and of log, and returns what puts
// the previous ones back, except where the program has set another since. printer
// is the handler that h prints with, in the end; it is nil if h prints nothing.
//
// From then on a line of package log is a record for h, as [slog.SetDefault] has
// it. So are the records of a logger that was made while the program was
// initialised, as internal/slog has it. What was made from slog's own default
// handler writes lines of text through package log, which name the level, and are
// taken apart again. The context is not in the line, so that such a record
// belongs to no span.
//
// printer may itself be slog's default handler, or lead to it. What it writes is
// printed where package log wrote before, and so are the lines of package log
// themselves, once that is known: a handler beside it does not get them.
func SetDefault(h, printer slog.Handler) (restore func()) {
	early.Undo()
	previous, writer, flags := slog.Default(), log.Writer(), log.Flags()
	o := &output{writer: writer, flags: flags}
	switch printer.(type) {
	case nil, *slog.TextHandler, *slog.JSONHandler:
		o.direct = true
	default:
		// Handlers that evaluate attributes do so here, and print nothing.
		printer.WithAttrs([]slog.Attr{slog.Any("", &probe{o})})
	}
	// SetDefault gives package log a writer that turns lines into records, with
	// the level and the position in the source that slog has for them.
	slog.SetDefault(slog.New(&lines{o, h}))
	toLines := log.Writer()
	logger := slog.New(&standard{h, o})
	slog.SetDefault(logger)
	log.SetOutput(toLines)
	stop := early.Use(logger, func(ctx context.Context) *slog.Logger { return o.takesEarly(ctx, logger) }, writer, flags)
	return func() {
		stop()
		set, ok := slog.Default().Handler().(*standard)
		ours := ok && set.output == o
		_, none := early.Own(slog.Default().Handler())
		output, flagsSet := log.Writer(), log.Flags()
		// A default logger that the program made of ours, or of the one before, has given
		// package log a writer of its own, of the same type.
		if output == toLines || (ours || none) && reflect.TypeOf(output) == reflect.TypeOf(toLines) {
			output = writer
			if flagsSet == 0 { // as slog.SetDefault leaves them
				flagsSet = flags
			}
		}
		if ours {
			slog.SetDefault(previous) // which may change the output and the flags
		}
		log.SetOutput(output)
		log.SetFlags(flagsSet)
	}
}

// output is where package log wrote before.
type output struct {
	writer io.Writer
	flags  int
	direct bool        // what prints does not lead to package log
	loops  atomic.Bool // it does
}

// takesEarly returns the logger for a record of one that was made while the
// program was initialised: that of [SetDefault], or what the program has made the
// default one since. It is nil for what is called in order to print.
func (o *output) takesEarly(ctx context.Context, ours *slog.Logger) *slog.Logger {
	if !o.direct && (ctx != nil && ctx.Value(printingKey{}) == o || passed().here) {
		return nil
	}
	set := slog.Default()
	if _, ok := set.Handler().(*standard); ok {
		return set
	}
	// The handler that the program has set may itself lead to such a logger.
	if _, none := early.Own(set.Handler()); none || passed().early > 1 {
		return ours
	}
	return set
}

// printingKey is the key of the output that a record is being printed to. A handler
// may hand records to a goroutine of its own, where the stack does not tell that.
type printingKey struct{}

func (o *output) printing(ctx context.Context) context.Context {
	if o.direct {
		return ctx
	}
	if ctx == nil { // a logger does the same
		ctx = context.Background()
	}
	return context.WithValue(ctx, printingKey{}, o)
}

// lines is the handler of the lines that package log writes.
type lines struct {
	*output
	to slog.Handler
}

// Enabled leaves the decision to Handle, which knows the level.
func (*lines) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup are never called.
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

func (l *lines) Handle(ctx context.Context, r slog.Record) error { return l.line(ctx, r, l.to) }

// standard is the handler of the default logger. The program may make a logger
// of it and call [slog.SetDefault] with that, which gets the lines of package
// log then.
type standard struct {
	slog.Handler
	*output
}

func (h *standard) Handle(ctx context.Context, r slog.Record) error {
	if ctx == context.Background() && r.NumAttrs() == 0 && h.mayBeLine(r) && whence().line {
		return h.line(ctx, r, h.Handler)
	}
	return h.Handler.Handle(h.printing(ctx), r)
}

// mayBeLine keeps the stack from being read for most records.
func (o *output) mayBeLine(r slog.Record) bool {
	_, _, ok := cutLevel(strings.TrimPrefix(r.Message, log.Prefix()))
	return ok || !o.direct
}

func (h *standard) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &standard{h.Handler.WithAttrs(attrs), h.output}
}

func (h *standard) WithGroup(name string) slog.Handler {
	return &standard{h.Handler.WithGroup(name), h.output}
}

// line hands on what package log writes. It is called with the mutex of log's
// standard logger held, so that whatever writes through that logger from here
// waits for ever.
func (o *output) line(ctx context.Context, r slog.Record, to slog.Handler) error {
	prefix, text := "", r.Message
	if p := log.Prefix(); strings.HasPrefix(text, p) {
		prefix, text = p, text[len(p):]
	}
	if level, rest, ok := cutLevel(text); ok {
		// A line of the program's own may begin like that too.
		if from := whence(); from.slogDefault {
			if from.printing {
				o.loops.Store(true)
				return o.pass(text, from)
			}
			r = record(r.Time, level, prefix, rest, from.pc)
		}
	}
	if !to.Enabled(ctx, r.Level) {
		return nil
	}
	if o.direct {
		return to.Handle(ctx, r)
	}
	ctx = o.printing(ctx)
	if !o.loops.Load() {
		if o.guarded(ctx, r, to); !o.loops.Load() {
			return nil
		}
	} else if b, ok := to.(*both); ok && b.exported.Enabled(ctx, r.Level) {
		b.exported.Handle(ctx, r) //nolint:errcheck // it returns none
	}
	return o.pass(text, whence())
}

// pass prints a line as package log would have before.
func (o *output) pass(text string, from origin) error {
	var line bytes.Buffer
	if err := log.New(&line, log.Prefix(), o.flags).Output(from.depth+2, text); err != nil {
		return err
	}
	_, err := o.writer.Write(line.Bytes())
	return err
}

// guarded handles a record unless that comes to slog's default handler, which
// would wait for ever: loops is set then, and what is exported has been. A
// handler can be anything, a function even, so that in the end nothing but a
// record tells where it leads. The one that tells is an attribute that slog's
// default handler evaluates before it writes, and every handler ignores. It ends
// the goroutine, which is one for this record.
func (o *output) guarded(ctx context.Context, r slog.Record, to slog.Handler) {
	r = r.Clone()
	p := &probe{o}
	r.AddAttrs(slog.Any("", p))
	done := make(chan any)
	go p.watch(done, func() { to.Handle(ctx, r) }) //nolint:errcheck // package log does not look at it either
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
}

// probe is the value of an attribute that is to be ignored. It finds out whether
// slog's default handler evaluates it.
type probe struct{ *output }

// watch runs do, and sends what it panics with, or nil.
func (*probe) watch(done chan<- any, do func()) {
	defer func() { done <- recover() }()
	do()
}

// LogValue implements [slog.LogValuer].
func (p *probe) LogValue() slog.Value {
	if from := whence(); from.slogDefault {
		p.loops.Store(true)
		if from.watched {
			runtime.Goexit()
		}
	}
	return slog.Value{}
}

// Format keeps a handler that prints without evaluating from printing more than
// it must.
func (*probe) Format(fmt.State, rune) {}
