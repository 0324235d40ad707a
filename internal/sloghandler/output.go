package sloghandler

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
)

// SetDefault makes h the default of log/slog and of log, and returns what puts
// the previous ones back. printer is the handler that h prints with, in the end; it is nil
// if h prints nothing.
//
// From then on a line of package log is a record for h, as [slog.SetDefault] has
// it, and so is what a logger writes that was made before, from slog's own
// default handler: that writes lines of text through package log, which name the
// level, and are taken apart again. The context is not in the line, so that such
// a record belongs to no span.
//
// printer may itself be slog's default handler, or lead to it. What it writes is
// printed where package log wrote before.
func SetDefault(h, printer slog.Handler) (restore func()) {
	previous, writer, flags := slog.Default(), log.Writer(), log.Flags()
	l := &lines{handler: h, writer: writer, flags: flags}
	switch printer.(type) {
	case nil, *slog.TextHandler, *slog.JSONHandler:
		l.direct = true
	}
	// SetDefault gives package log a writer that turns lines into records, with
	// the level and the position in the source that slog has for them.
	slog.SetDefault(slog.New(l))
	toLines := log.Writer()
	slog.SetDefault(slog.New(h))
	log.SetOutput(toLines)
	return func() {
		slog.SetDefault(previous)
		log.SetOutput(writer)
		log.SetFlags(flags)
	}
}

// lines is the handler of the lines that package log writes. It is called with
// the mutex of log's standard logger held, so that whatever writes through that
// logger from here waits for ever.
type lines struct {
	handler slog.Handler
	direct  bool // the handler does not lead to package log

	writer io.Writer // of package log, before
	flags  int
}

// Enabled leaves the decision to Handle, which knows the level.
func (*lines) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs and WithGroup are never called.
func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

func (l *lines) Handle(ctx context.Context, r slog.Record) error {
	prefix := ""
	text := r.Message
	if p := log.Prefix(); strings.HasPrefix(text, p) {
		prefix, text = p, text[len(p):]
	}
	if level, rest, ok := cutLevel(text); ok {
		// A line of the program's own may begin like that too.
		if from := whence(); from.slogDefault {
			if from.printing {
				return l.pass(text, from)
			}
			r = record(r.Time, level, prefix, rest, from.pc)
		}
	}
	if !l.handler.Enabled(ctx, r.Level) {
		return nil
	}
	if l.direct {
		return l.handler.Handle(ctx, r)
	}
	if l.guarded(ctx, r) {
		return l.pass(text, whence())
	}
	return nil
}

// pass prints a line as package log would have before.
func (l *lines) pass(text string, from origin) error {
	var line bytes.Buffer
	if err := log.New(&line, log.Prefix(), l.flags).Output(from.depth+2, text); err != nil {
		return err
	}
	_, err := l.writer.Write(line.Bytes())
	return err
}

// guarded handles a record unless that comes to slog's default handler, which
// would wait for ever: it reports whether that is so. A handler can be anything,
// a function even, so that nothing but a record tells where it leads. The one
// that tells is an attribute that slog's default handler evaluates before it
// writes, and every handler ignores. It ends the goroutine, which is one for
// this record.
func (l *lines) guarded(ctx context.Context, r slog.Record) (blocked bool) {
	r = r.Clone()
	p := &probe{}
	r.AddAttrs(slog.Any("", p))
	done := make(chan any)
	go p.watch(done, func() { l.handler.Handle(ctx, r) }) //nolint:errcheck // the logger would not look at it either
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
	return p.met
}

// probe is the value of an attribute that is to be ignored.
type probe struct{ met bool }

// watch runs do, and sends what it panics with, or nil.
func (p *probe) watch(done chan<- any, do func()) {
	defer func() { done <- recover() }()
	do()
}

// LogValue implements [slog.LogValuer]. The goroutine ends if it is the one of
// watch, and slog's default handler asks.
func (p *probe) LogValue() slog.Value {
	if from := whence(); from.slogDefault && from.watched {
		p.met = true
		exitGoroutine()
	}
	return slog.Value{}
}

// Format keeps a handler that prints without evaluating from printing more than
// it must.
func (*probe) Format(fmt.State, rune) {}
