package clewhttp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/clewtrace/clew/clewhttp"
)

// The parts of writers that net/http has not made. Each notes that it was called.
type (
	calls   []string
	writer  struct{ *calls }
	flushes struct{ *calls }
	hijacks struct{ *calls }
	pushes  struct{ *calls }
	closes  struct{ *calls }
	reads   struct{ *calls }
	texts   struct{ *calls }
	errs    struct{ *calls }
	bounds  struct{ *calls }
)

func (c *calls) note(name string) { *c = append(*c, name) }

var errFlush, errHijack = errors.New("cannot flush"), errors.New("cannot hijack")

func (w writer) Header() http.Header         { return http.Header{} }
func (w writer) WriteHeader(int)             { w.note("WriteHeader") }
func (w writer) Write(b []byte) (int, error) { w.note("Write"); return len(b), nil }
func (w flushes) Flush()                     { w.note("Flush") }
func (w hijacks) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.note("Hijack")
	return nil, nil, errHijack
}
func (w pushes) Push(string, *http.PushOptions) error { w.note("Push"); return http.ErrNotSupported }
func (w closes) CloseNotify() <-chan bool             { w.note("CloseNotify"); return nil }
func (w reads) ReadFrom(r io.Reader) (int64, error) {
	w.note("ReadFrom")
	return io.Copy(io.Discard, r)
}
func (w texts) WriteString(s string) (int, error) { w.note("WriteString"); return len(s), nil }
func (w errs) FlushError() error                  { w.note("FlushError"); return errFlush }
func (w bounds) SetReadDeadline(time.Time) error  { w.note("SetReadDeadline"); return nil }
func (w bounds) SetWriteDeadline(time.Time) error { w.note("SetWriteDeadline"); return nil }
func (w bounds) EnableFullDuplex() error          { w.note("EnableFullDuplex"); return nil }

// foreignWriters are writers with each combination of what handlers ask for.
func foreignWriters(c *calls) []http.ResponseWriter {
	w, f, h, p, n := writer{c}, flushes{c}, hijacks{c}, pushes{c}, closes{c}
	return []http.ResponseWriter{
		w,
		struct {
			writer
			flushes
		}{w, f},
		struct {
			writer
			hijacks
		}{w, h},
		struct {
			writer
			flushes
			hijacks
		}{w, f, h},
		struct {
			writer
			pushes
		}{w, p},
		struct {
			writer
			flushes
			pushes
		}{w, f, p},
		struct {
			writer
			hijacks
			pushes
		}{w, h, p},
		struct {
			writer
			flushes
			hijacks
			pushes
		}{w, f, h, p},
		struct {
			writer
			closes
		}{w, n},
		struct {
			writer
			flushes
			closes
		}{w, f, n},
		struct {
			writer
			hijacks
			closes
		}{w, h, n},
		struct {
			writer
			flushes
			hijacks
			closes
		}{w, f, h, n},
		struct {
			writer
			pushes
			closes
		}{w, p, n},
		struct {
			writer
			flushes
			pushes
			closes
		}{w, f, p, n},
		struct {
			writer
			hijacks
			pushes
			closes
		}{w, h, p, n},
		struct {
			writer
			flushes
			hijacks
			pushes
			closes
		}{w, f, h, p, n},
	}
}

// use calls what a writer has of that, and lists it.
func use(w http.ResponseWriter) string {
	var has []string
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
		has = append(has, "Flush")
	}
	if h, ok := w.(http.Hijacker); ok {
		if _, _, err := h.Hijack(); !errors.Is(err, errHijack) {
			return "another Hijack"
		}
		has = append(has, "Hijack")
	}
	if p, ok := w.(http.Pusher); ok {
		if err := p.Push("/", nil); !errors.Is(err, http.ErrNotSupported) {
			return "another Push"
		}
		has = append(has, "Push")
	}
	if n, ok := w.(http.CloseNotifier); ok { //nolint:staticcheck // deprecated, but there
		n.CloseNotify()
		has = append(has, "CloseNotify")
	}
	return strings.Join(has, " ")
}

// TestForeignWritersKeepTheirInterfaces: the handler sees what the writer has, and
// nothing that it has not, through one Handler and through two. CloseNotify, which
// the context of the request can do, is always there.
func TestForeignWritersKeepTheirInterfaces(t *testing.T) {
	var c calls
	for _, w := range foreignWriters(&c) {
		c = nil
		want := use(w)
		if called := strings.Join(c, " "); called != want {
			t.Fatalf("the writer of the test has %q, and noted %q", want, called)
		}
		sees := strings.TrimPrefix(strings.TrimSuffix(want, "CloseNotify")+" CloseNotify", " ")
		tel := newTelemetry(t)
		inside := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if got := use(w); strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(sees), " ") {
				t.Errorf("the handler sees %q, want %q", got, sees)
			}
		})
		for _, h := range []http.Handler{tel.handler(inside), tel.handler(clewhttp.Route(tel.handler(inside)))} {
			c = nil
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if called := strings.Join(c, " "); called != want {
				t.Errorf("%q was called of the writer, want %q", called, want)
			}
		}
	}
}

// TestCloseNotifyIsTheEndOfTheContext for a writer without one.
func TestCloseNotifyIsTheEndOfTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := newTelemetry(t).handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		gone := w.(http.CloseNotifier).CloseNotify() //nolint:staticcheck,forcetypeassert // deprecated, but there
		select {
		case <-gone:
			t.Error("gone before the end")
		default:
		}
		cancel()
		<-gone
	}))
	h.ServeHTTP(writer{&calls{}}, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
}

// TestForeignWritersAreRecorded: status and size are what went to the writer,
// whichever methods it has and the handler calls.
func TestForeignWritersAreRecorded(t *testing.T) {
	var c calls
	plain := writer{&c}
	tests := []struct {
		name   string
		writer http.ResponseWriter
		use    func(w http.ResponseWriter) error
		err    error
		called string
		status string
		size   string
	}{
		{"WriteString without one", plain, func(w http.ResponseWriter) error { _, err := io.WriteString(w, "hello"); return err }, nil, "Write", "200", "5"},
		{"WriteString", struct {
			writer
			texts
		}{plain, texts{&c}}, func(w http.ResponseWriter) error { _, err := io.WriteString(w, "hello"); return err }, nil, "WriteString", "200", "5"},
		{"ReadFrom without one", plain, func(w http.ResponseWriter) error {
			_, err := io.CopyN(w, strings.NewReader("hello"), 4)
			return err
		}, nil, "Write", "200", "4"},
		{"nothing to read, and a status", plain, func(w http.ResponseWriter) error {
			_, err := io.CopyN(w, strings.NewReader(""), 4)
			w.WriteHeader(http.StatusNotFound)
			return err
		}, io.EOF, "WriteHeader", "404", ""},
		{"ReadFrom", struct {
			writer
			reads
		}{plain, reads{&c}}, func(w http.ResponseWriter) error { _, err := io.CopyN(w, strings.NewReader("hello"), 4); return err }, nil, "ReadFrom", "200", "4"},
		{"Flush before a status", struct {
			writer
			flushes
		}{plain, flushes{&c}}, func(w http.ResponseWriter) error {
			err := http.NewResponseController(w).Flush()
			w.WriteHeader(http.StatusInternalServerError)
			return err
		}, nil, "Flush WriteHeader", "200", ""},
		{"FlushError alone", struct {
			writer
			errs
		}{plain, errs{&c}}, func(w http.ResponseWriter) error {
			err := http.NewResponseController(w).Flush()
			w.WriteHeader(http.StatusInternalServerError)
			return err
		}, errFlush, "FlushError WriteHeader", "200", ""},
		{"no Flush", plain, func(w http.ResponseWriter) error {
			w.WriteHeader(http.StatusInternalServerError)
			return http.NewResponseController(w).Flush()
		}, http.ErrNotSupported, "WriteHeader", "500", ""},
		{"deadlines", struct {
			writer
			bounds
		}{plain, bounds{&c}}, func(w http.ResponseWriter) error {
			to := http.NewResponseController(w)
			return errors.Join(to.SetReadDeadline(time.Time{}), to.SetWriteDeadline(time.Time{}), to.EnableFullDuplex())
		}, nil, "SetReadDeadline SetWriteDeadline EnableFullDuplex", "200", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c = nil
			tel := newTelemetry(t)
			var err error
			h := tel.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { err = test.use(w) }))
			h.ServeHTTP(test.writer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
			if !errors.Is(err, test.err) {
				t.Errorf("the handler gets %v, want %v", err, test.err)
			}
			if called := strings.Join(c, " "); called != test.called {
				t.Errorf("%q was called of the writer, want %q", called, test.called)
			}
			got := map[string]string{}
			for _, a := range tel.spans.Ended()[0].Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			if got["http.response.status_code"] != test.status || got["http.response.body.size"] != test.size {
				t.Errorf("status %q and size %q, want %q and %q", got["http.response.status_code"], got["http.response.body.size"], test.status, test.size)
			}
		})
	}
}
