package shadow

// stdPatches are the changes to files of the standard library. Each hook is a
// variable that is nil until package clew/auto sets it, so that a program
// without it costs a comparison.
var stdPatches = []filePatch{
	{"runtime/runtime2.go", []step{
		field("g", "clew unsafe.Pointer"),
	}},
	{"runtime/proc.go", []step{
		// The scope goes where the labels of the profiler go.
		before("func newproc1(fn *funcval, callergp *g, callerpc uintptr, parked bool, waitreason waitReason) *g",
			"newg.labels = mp.curg.labels", "newg.clew = clewShare(mp.curg.clew)"),
		before("func gdestroy(gp *g)", "gp.labels = nil", "gp.clew = nil"),
	}},
	{"runtime/panic.go", []step{
		// Here nothing has recovered the panic, and nothing is printed yet.
		before("func gopanic(e any)", "preprintpanics(&p)", "clewPanicking(e)"),
	}},
	{"time/sleep.go", []step{
		atStart("func AfterFunc(d Duration, f func()) *Timer", "f = clewBind(f)"),
	}},
	{"context/context.go", []step{
		atStart("func AfterFunc(ctx Context, f func()) (stop func() bool)", "f = clewBind(f)"),
	}},
	{"net/http/server.go", []step{
		instead("func (sh serverHandler) ServeHTTP(rw ResponseWriter, req *Request)", "handler.ServeHTTP(rw, req)",
			"if clewServe != nil { clewServe(handler, rw, req) } else { handler.ServeHTTP(rw, req) }"),
		instead("func (mux *ServeMux) ServeHTTP(w ResponseWriter, r *Request)", "h, _ = mux.mux121.findHandler(r)",
			"var pattern string; h, pattern = mux.mux121.findHandler(r); ClewRoute(r, pattern)"),
		before("func (mux *ServeMux) ServeHTTP(w ResponseWriter, r *Request)", "h.ServeHTTP(w, r)",
			"if !use121 { ClewRoute(r, r.Pattern) }"),
	}},
	{"net/http/roundtrip.go", []step{
		before("func (t *Transport) RoundTrip(req *Request) (*Response, error)", "return t.roundTrip(req)",
			"if clewRoundTrip != nil { return clewRoundTrip(t, req) }"),
	}},
	{"net/http/transport.go", []step{
		// CancelRequest is called with the request that the caller knows.
		instead("func (t *Transport) roundTrip(req *Request) (_ *Response, err error)", "origReq := req",
			"origReq := req; if clewOriginal != nil { origReq = clewOriginal(req) }"),
	}},
	{"net/http/httputil/dump.go", []step{
		// It sends a request to nobody.
		instead("func DumpRequestOut(req *http.Request, body bool) ([]byte, error)", "_, err := t.RoundTrip(reqSend)",
			"_, err := http.ClewUntraced(t, reqSend)"),
	}},
	{"log/slog/logger.go", []step{
		field("Logger", "clew Handler"),
		instead("func (l *Logger) log(ctx context.Context, level Level, msg string, args ...any)", "_ = l.Handler().Handle(ctx, r)",
			"_ = clewHandle(ctx, l.Handler(), l.clew, r)"),
		instead("func (l *Logger) logAttrs(ctx context.Context, level Level, msg string, attrs ...Attr)", "_ = l.Handler().Handle(ctx, r)",
			"_ = clewHandle(ctx, l.Handler(), l.clew, r)"),
		before("func (l *Logger) With(args ...any) *Logger", "c.handler = l.handler.WithAttrs(argsToAttrSlice(args))",
			"c.clew = clewWith(l, args)"),
		before("func (l *Logger) WithGroup(name string) *Logger", "c.handler = l.handler.WithGroup(name)",
			"c.clew = clewWithGroup(l, name)"),
		// What log prints once slog.SetDefault has been called.
		instead("func (w *handlerWriter) Write(buf []byte) (int, error)", "return origLen, w.h.Handle(context.Background(), r)",
			"return origLen, clewHandle(context.Background(), w.h, nil, r)"),
	}},
	{"log/log.go", []step{
		// A depth of 0 is that of slog's default handler, whose record has been seen.
		before("func (l *Logger) output(pc uintptr, calldepth int, appendOutput func([]byte) []byte) error", "*buf = appendOutput(*buf)",
			"if clewOutput != nil && calldepth != 0 { appendOutput = l.clewAppend(appendOutput) }"),
	}},
	{"os/signal/signal.go", []step{
		instead("func Reset(sig ...os.Signal)", "cancel(sig, disableSignal)", "cancel(sig, disableSignal); clewReset()"),
		before("func Ignore(sig ...os.Signal)", "cancel(sig, ignoreSignal)", "clewIgnore(sig)"),
		instead("func process(sig os.Signal)", "defer handlers.Unlock()", "defer handlers.Unlock(); clewProcess(n, sig)"),
	}},
	{"database/sql/sql.go", []step{
		renamed("func (db *DB) QueryContext(ctx context.Context, query string, args ...any) (*Rows, error)", "clewQueryContext"),
		renamed("func (db *DB) ExecContext(ctx context.Context, query string, args ...any) (Result, error)", "clewExecContext"),
		renamed("func (c *Conn) QueryContext(ctx context.Context, query string, args ...any) (*Rows, error)", "clewQueryContext"),
		renamed("func (c *Conn) ExecContext(ctx context.Context, query string, args ...any) (Result, error)", "clewExecContext"),
		renamed("func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*Rows, error)", "clewQueryContext"),
		renamed("func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (Result, error)", "clewExecContext"),
		renamed("func (s *Stmt) QueryContext(ctx context.Context, args ...any) (*Rows, error)", "clewQueryContext"),
		renamed("func (s *Stmt) ExecContext(ctx context.Context, args ...any) (Result, error)", "clewExecContext"),
	}},
}

// variant is what one way of the toolchain to do things needs.
type variant struct {
	has   string // the file that tells it
	files string // the directory below std.variants
}

// stdVariants are for what releases do in different ways. Of each list, the
// first whose file is there counts, and one has to be.
var stdVariants = [][]variant{{
	{"net/http/h2_bundle.go", "http2bundled"},
	{"net/http/internal/http2/server.go", "http2internal"}, // since Go 1.27
}}
