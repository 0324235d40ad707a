package sloghandler

import (
	"runtime"
	"strings"
)

// origin is what the stack tells of a record.
type origin struct {
	line        bool    // package log hands it to the handler of the default logger
	slogDefault bool    // slog's default handler writes it, or asks
	printing    bool    // on behalf of a record that is being printed
	watched     bool    // in a goroutine of probe.watch
	pc          uintptr // where it was logged, for a record
	depth       int     // the same, in calls above the function that asks
}

// The functions that whence looks for.
const (
	self         = "github.com/clewtrace/clew/internal/sloghandler."
	printingFunc = self + "(*ids).Handle"
	watchFunc    = self + "(*probe).watch"
	defaultFunc  = "log/slog.(*defaultHandler).Handle"
	defaultAttrs = "log/slog.(*defaultHandler).WithAttrs"
	lineFunc     = "log/slog.(*handlerWriter).Write"
)

// whence reads the stack. A line was logged by the first function outside of the
// packages that pass it on, and one that is being printed by the first one that
// called those in turn.
func whence() origin {
	var o origin
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) && n < 1<<12 {
		pcs = make([]uintptr, 4*n)
		n = runtime.Callers(2, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for depth := 0; ; depth++ {
		frame, more := frames.Next()
		switch frame.Function {
		case defaultFunc, defaultAttrs:
			o.slogDefault = true
		case printingFunc:
			o.printing, o.pc = true, 0
		case lineFunc:
			o.line = o.line || o.pc == 0
		case watchFunc:
			o.watched = true
		}
		if o.pc == 0 && !passesOn(frame.Function) {
			o.pc, o.depth = frame.PC+1, depth
		}
		if !more {
			return o
		}
	}
}

func passesOn(function string) bool {
	return strings.HasPrefix(function, "log.") || strings.HasPrefix(function, "log/slog.") || strings.HasPrefix(function, self)
}
