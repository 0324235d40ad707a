package clewhttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// The writers of net/http have two sets of optional interfaces, one for each
// protocol. What is handed on has exactly the same ones, because programs ask
// for them by type assertion. The writers of others are in foreign.go.
type (
	controls interface {
		http.Flusher
		FlushError() error
		SetReadDeadline(deadline time.Time) error
		SetWriteDeadline(deadline time.Time) error
		EnableFullDuplex() error
		http.CloseNotifier //nolint:staticcheck // deprecated, but there
		io.StringWriter
	}
	http1Writer interface {
		http.ResponseWriter
		controls
		http.Hijacker
		io.ReaderFrom
	}
	http2Writer interface {
		http.ResponseWriter
		controls
		http.Pusher
	}
)

// wrapWriter returns what the handler writes to.
func (x *exchange) wrapWriter() http.ResponseWriter {
	if p := x.server.patched; p != nil {
		if _, x.own = p.Response(x.writer); x.own {
			return x.writer
		}
	}
	_, pushes := x.writer.(http.Pusher)
	if _, ok := x.writer.(http1Writer); ok && !pushes {
		return (*http1Exchange)(x)
	}
	_, hijacks := x.writer.(http.Hijacker)
	_, readsFrom := x.writer.(io.ReaderFrom)
	if _, ok := x.writer.(http2Writer); ok && !hijacks && !readsFrom {
		return (*http2Exchange)(x)
	}
	return x.foreign()
}

// The methods of both sets.

func (x *exchange) writeHeader(code int) {
	x.noteStatus(code)
	x.writer.WriteHeader(code)
}

func (x *exchange) write(b []byte) (int, error) {
	x.noteStatus(http.StatusOK)
	n, err := x.writer.Write(b)
	x.written.Add(int64(n))
	return n, err
}

func (x *exchange) writeString(s string) (int, error) {
	x.noteStatus(http.StatusOK)
	n, err := x.writer.(io.StringWriter).WriteString(s)
	x.written.Add(int64(n))
	return n, err
}

func (x *exchange) readFrom(src io.Reader) (int64, error) {
	x.noteStatus(http.StatusOK)
	n, err := x.writer.(io.ReaderFrom).ReadFrom(src)
	x.written.Add(n)
	return n, err
}

func (x *exchange) flush() {
	x.noteStatus(http.StatusOK)
	x.writer.(http.Flusher).Flush()
}

func (x *exchange) flushError() error {
	x.noteStatus(http.StatusOK)
	return x.writer.(controls).FlushError()
}

func (x *exchange) hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := x.writer.(http.Hijacker).Hijack()
	if err == nil {
		x.hijacked.Store(true)
	}
	return conn, rw, err
}

// noteStatus notes the first final status. A status of 1xx other than 101 is
// followed by another one (RFC 9110, "Informational 1xx").
func (x *exchange) noteStatus(code int) {
	if x.status.Load() != 0 || code < 200 && code != http.StatusSwitchingProtocols {
		return
	}
	x.status.CompareAndSwap(0, int32(code)) //nolint:gosec // of three digits
	x.closeAfterLimit()
}

// takeResponse notes what the server's own writer says.
func (x *exchange) takeResponse() {
	r, _ := x.server.patched.Response(x.writer)
	x.status.Store(int32(r.Status)) //nolint:gosec // of three digits
	x.written.Store(r.Written)
	x.hijacked.Store(r.Hijacked)
}

// statusCode is the status that was sent, or 0. A connection that was taken over
// for an upgrade counts as 101: the handler writes that itself.
func (x *exchange) statusCode() int {
	status := int(x.status.Load())
	if status == 0 && x.hijacked.Load() && x.request.Header.Get("Upgrade") != "" {
		return http.StatusSwitchingProtocols
	}
	return status
}

// bodySize is the size of the response's body. The answer to HEAD has none,
// whatever is written.
func (x *exchange) bodySize() int64 {
	if x.request.Method == http.MethodHead {
		return 0
	}
	return x.written.Load()
}

// http1Exchange has the methods of the writer for HTTP/1.
type http1Exchange exchange

func (w *http1Exchange) Header() http.Header                          { return w.writer.Header() }
func (w *http1Exchange) WriteHeader(code int)                         { (*exchange)(w).writeHeader(code) }
func (w *http1Exchange) Write(b []byte) (int, error)                  { return (*exchange)(w).write(b) }
func (w *http1Exchange) WriteString(s string) (int, error)            { return (*exchange)(w).writeString(s) }
func (w *http1Exchange) ReadFrom(src io.Reader) (int64, error)        { return (*exchange)(w).readFrom(src) }
func (w *http1Exchange) Flush()                                       { (*exchange)(w).flush() }
func (w *http1Exchange) FlushError() error                            { return (*exchange)(w).flushError() }
func (w *http1Exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) { return (*exchange)(w).hijack() }
func (w *http1Exchange) CloseNotify() <-chan bool                     { return w.writer.(controls).CloseNotify() }
func (w *http1Exchange) SetReadDeadline(t time.Time) error {
	return w.writer.(controls).SetReadDeadline(t)
}
func (w *http1Exchange) SetWriteDeadline(t time.Time) error {
	return w.writer.(controls).SetWriteDeadline(t)
}
func (w *http1Exchange) EnableFullDuplex() error     { return w.writer.(controls).EnableFullDuplex() }
func (w *http1Exchange) Unwrap() http.ResponseWriter { return w.writer }

// http2Exchange has the methods of the writer for HTTP/2.
type http2Exchange exchange

func (w *http2Exchange) Header() http.Header               { return w.writer.Header() }
func (w *http2Exchange) WriteHeader(code int)              { (*exchange)(w).writeHeader(code) }
func (w *http2Exchange) Write(b []byte) (int, error)       { return (*exchange)(w).write(b) }
func (w *http2Exchange) WriteString(s string) (int, error) { return (*exchange)(w).writeString(s) }
func (w *http2Exchange) Flush()                            { (*exchange)(w).flush() }
func (w *http2Exchange) FlushError() error                 { return (*exchange)(w).flushError() }
func (w *http2Exchange) CloseNotify() <-chan bool          { return w.writer.(controls).CloseNotify() }
func (w *http2Exchange) SetReadDeadline(t time.Time) error {
	return w.writer.(controls).SetReadDeadline(t)
}
func (w *http2Exchange) SetWriteDeadline(t time.Time) error {
	return w.writer.(controls).SetWriteDeadline(t)
}
func (w *http2Exchange) EnableFullDuplex() error { return w.writer.(controls).EnableFullDuplex() }
func (w *http2Exchange) Push(target string, o *http.PushOptions) error {
	return w.writer.(http.Pusher).Push(target, o)
}
func (w *http2Exchange) Unwrap() http.ResponseWriter { return w.writer }
