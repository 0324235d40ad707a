package clewhttp

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Writers that are not those of net/http may have any of the optional
// interfaces. What a handler asks for to decide what it does, a [http.Flusher],
// [http.Hijacker], [http.Pusher] or [http.CloseNotifier], is there exactly if the
// writer has it, in one type for each combination. The other methods are either
// always there, and do for a writer without them what its Write does, or
// [http.ResponseController] finds them through Unwrap.
type (
	foreignWriter exchange
	flusher       exchange
	hijacker      exchange
	pusher        exchange
	closeNotifier exchange
)

const (
	flushes = 1 << iota
	hijacks
	pushes
	notifies
)

// foreign returns what the handler writes to in place of a writer of others.
func (x *exchange) foreign() http.ResponseWriter {
	w, f, h, p, c := (*foreignWriter)(x), (*flusher)(x), (*hijacker)(x), (*pusher)(x), (*closeNotifier)(x)
	switch x.abilities() {
	case flushes:
		return struct {
			*foreignWriter
			*flusher
		}{w, f}
	case hijacks:
		return struct {
			*foreignWriter
			*hijacker
		}{w, h}
	case flushes | hijacks:
		return struct {
			*foreignWriter
			*flusher
			*hijacker
		}{w, f, h}
	case pushes:
		return struct {
			*foreignWriter
			*pusher
		}{w, p}
	case flushes | pushes:
		return struct {
			*foreignWriter
			*flusher
			*pusher
		}{w, f, p}
	case hijacks | pushes:
		return struct {
			*foreignWriter
			*hijacker
			*pusher
		}{w, h, p}
	case flushes | hijacks | pushes:
		return struct {
			*foreignWriter
			*flusher
			*hijacker
			*pusher
		}{w, f, h, p}
	case notifies:
		return struct {
			*foreignWriter
			*closeNotifier
		}{w, c}
	case flushes | notifies:
		return struct {
			*foreignWriter
			*flusher
			*closeNotifier
		}{w, f, c}
	case hijacks | notifies:
		return struct {
			*foreignWriter
			*hijacker
			*closeNotifier
		}{w, h, c}
	case flushes | hijacks | notifies:
		return struct {
			*foreignWriter
			*flusher
			*hijacker
			*closeNotifier
		}{w, f, h, c}
	case pushes | notifies:
		return struct {
			*foreignWriter
			*pusher
			*closeNotifier
		}{w, p, c}
	case flushes | pushes | notifies:
		return struct {
			*foreignWriter
			*flusher
			*pusher
			*closeNotifier
		}{w, f, p, c}
	case hijacks | pushes | notifies:
		return struct {
			*foreignWriter
			*hijacker
			*pusher
			*closeNotifier
		}{w, h, p, c}
	case flushes | hijacks | pushes | notifies:
		return struct {
			*foreignWriter
			*flusher
			*hijacker
			*pusher
			*closeNotifier
		}{w, f, h, p, c}
	default:
		return w
	}
}

// abilities is the combination that the writer has.
func (x *exchange) abilities() (has int) {
	switch x.writer.(type) {
	case http.Flusher, interface{ FlushError() error }:
		has |= flushes
	}
	if _, ok := x.writer.(http.Hijacker); ok {
		has |= hijacks
	}
	if _, ok := x.writer.(http.Pusher); ok {
		has |= pushes
	}
	if _, ok := x.writer.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, but there
		has |= notifies
	}
	return has
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

func (w *flusher) Flush() { w.FlushError() } //nolint:errcheck // it has nowhere to go

func (w *flusher) FlushError() error {
	(*exchange)(w).noteStatus(http.StatusOK)
	return http.NewResponseController(w.writer).Flush()
}

func (w *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) { return (*exchange)(w).hijack() }

func (w *pusher) Push(target string, o *http.PushOptions) error {
	return w.writer.(http.Pusher).Push(target, o)
}

func (w *closeNotifier) CloseNotify() <-chan bool {
	return w.writer.(http.CloseNotifier).CloseNotify() //nolint:staticcheck // deprecated, but there
}
