package clewhttp

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
)

// Writers that are not those of net/http may have any of the optional
// interfaces. What a handler asks for to decide what it does, a [http.Flusher],
// [http.Hijacker] or [http.Pusher], is there exactly if the writer has it, in one
// type for each combination. The other methods are either always there, and do
// for a writer without them what can be done with the rest of it, or
// [http.ResponseController] finds them through Unwrap.
type (
	foreignWriter exchange
	flusher       exchange
	hijacker      exchange
	pusher        exchange
)

type (
	writerF struct {
		*foreignWriter
		*flusher
	}
	writerH struct {
		*foreignWriter
		*hijacker
	}
	writerFH struct {
		*foreignWriter
		*flusher
		*hijacker
	}
	writerP struct {
		*foreignWriter
		*pusher
	}
	writerFP struct {
		*foreignWriter
		*flusher
		*pusher
	}
	writerHP struct {
		*foreignWriter
		*hijacker
		*pusher
	}
	writerFHP struct {
		*foreignWriter
		*flusher
		*hijacker
		*pusher
	}
)

// foreign returns what the handler writes to in place of a writer of others.
func (x *exchange) foreign() http.ResponseWriter {
	_, flushes := x.writer.(http.Flusher)
	if !flushes {
		_, flushes = x.writer.(interface{ FlushError() error })
	}
	_, hijacks := x.writer.(http.Hijacker)
	_, pushes := x.writer.(http.Pusher)
	w, f, h, p := (*foreignWriter)(x), (*flusher)(x), (*hijacker)(x), (*pusher)(x)
	switch [...]bool{flushes, hijacks, pushes} {
	case [...]bool{true, false, false}:
		return writerF{w, f}
	case [...]bool{false, true, false}:
		return writerH{w, h}
	case [...]bool{true, true, false}:
		return writerFH{w, f, h}
	case [...]bool{false, false, true}:
		return writerP{w, p}
	case [...]bool{true, false, true}:
		return writerFP{w, f, p}
	case [...]bool{false, true, true}:
		return writerHP{w, h, p}
	case [...]bool{true, true, true}:
		return writerFHP{w, f, h, p}
	default:
		return w
	}
}

func (w *foreignWriter) Header() http.Header         { return w.writer.Header() }
func (w *foreignWriter) WriteHeader(code int)        { (*exchange)(w).writeHeader(code) }
func (w *foreignWriter) Write(b []byte) (int, error) { return (*exchange)(w).write(b) }
func (w *foreignWriter) Unwrap() http.ResponseWriter { return w.writer }

// WriteString is what [io.WriteString] would do without it.
func (w *foreignWriter) WriteString(s string) (int, error) {
	if _, ok := w.writer.(io.StringWriter); ok {
		return (*exchange)(w).writeString(s)
	}
	return w.Write([]byte(s))
}

// ReadFrom is what [io.Copy] would do without it.
func (w *foreignWriter) ReadFrom(src io.Reader) (int64, error) {
	if _, ok := w.writer.(io.ReaderFrom); ok {
		return (*exchange)(w).readFrom(src)
	}
	return io.Copy(struct{ io.Writer }{w}, src)
}

// CloseNotify implements [http.CloseNotifier]. The end of the request's context
// is what took its place.
func (w *foreignWriter) CloseNotify() <-chan bool {
	if n, ok := w.writer.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, but there
		return n.CloseNotify()
	}
	gone := make(chan bool, 1)
	context.AfterFunc(w.request.Context(), func() { gone <- true })
	return gone
}

func (w *flusher) Flush() { w.FlushError() } //nolint:errcheck // it has nowhere to go

func (w *flusher) FlushError() error {
	(*exchange)(w).noteStatus(http.StatusOK)
	return http.NewResponseController(w.writer).Flush()
}

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return (*exchange)(w).hijack() }

func (w *pusher) Push(target string, o *http.PushOptions) error {
	return w.writer.(http.Pusher).Push(target, o)
}
