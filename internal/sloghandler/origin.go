package sloghandler

import (
	"runtime"
	"slices"
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
	earlyFuncs   = "github.com/clewtrace/clew/internal/slog."
	earlyHandle  = earlyFuncs + "(*defaultHandler).Handle"
	printingFunc = self + "(*ids).Handle"
	watchFunc    = self + "(*probe).watch"
	defaultFunc  = "log/slog.(*defaultHandler).Handle"
	defaultAttrs = "log/slog.(*defaultHandler).WithAttrs"
	lineFunc     = "log/slog.(*handlerWriter).Write"
)

// earlyMethods are the ways into the handler of internal/slog.
var earlyMethods = []string{
	earlyFuncs + "(*defaultHandler).Enabled", earlyHandle,
	earlyFuncs + "(*defaultHandler).WithAttrs", earlyFuncs + "(*defaultHandler).WithGroup",
}

// whence reads the stack. A line was logged by the first function outside of the
// packages that pass it on, and one that is being printed by the first one that
// called those in turn.
func whence() origin {
	var o origin
	frames, inner := runtime.CallersFrames(stack(2)), ""
	for depth := 0; ; depth++ {
		frame, more := frames.Next()
		switch frame.Function {
		case earlyHandle:
			// The handler of internal/slog hands on to slog's own what is being printed.
			if inner == defaultFunc {
				o.printing, o.pc = true, 0
			}
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
		inner = frame.Function
	}
}

func passesOn(function string) bool {
	return strings.HasPrefix(function, "log.") || strings.HasPrefix(function, "log/slog.") ||
		strings.HasPrefix(function, self) || strings.HasPrefix(function, earlyFuncs)
}

// passage is what a call has passed.
type passage struct {
	here  bool // this package
	early int  // the handler of internal/slog, so many times
}

// passed reads the stack above the function that asks, which is of this package.
func passed() passage {
	var p passage
	frames := runtime.CallersFrames(stack(4)) // without that function and what calls it here
	for {
		frame, more := frames.Next()
		switch {
		case strings.HasPrefix(frame.Function, self):
			p.here = true
		case slices.Contains(earlyMethods, frame.Function):
			p.early++
		}
		if !more {
			return p
		}
	}
}

// stack returns the calls without the innermost ones.
func stack(without int) []uintptr {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(without+1, pcs)
	for n == len(pcs) && n < 1<<12 {
		pcs = make([]uintptr, 4*n)
		n = runtime.Callers(without+1, pcs)
	}
	return pcs[:n]
}
