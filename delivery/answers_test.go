package delivery_test

import (
	"bytes"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/clewtrace/clew/delivery"
)

// TestRedirectLoop: what leads in a circle is tried again, and said once.
func TestRedirectLoop(t *testing.T) {
	s := newStoppedSink(t)
	var mended atomic.Bool
	s.fault = func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
		if mended.Load() {
			return false
		}
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
	s.Start()
	var h handled
	tr := newTransport(t, quick(&h))
	names := postSpans(t, tr, s.URL, 0, 20)
	for tr.Stats(delivery.Traces).Retried < 3 {
		runtime.Gosched()
	}
	mended.Store(true)
	flush(t, tr)
	if lost, twice := s.lost(names); lost+twice != 0 {
		t.Errorf("%d lost, %d duplicates", lost, twice)
	}
	if told := h.all(t, tr); len(told) != 1 || !strings.Contains(told[0].Error(), "redirected too often") {
		t.Errorf("told %v", told)
	}
}

// TestServersSayNothingToATerminal: what is repeated of an answer is one line of
// printable text, and short.
func TestServersSayNothingToATerminal(t *testing.T) {
	message := "\x1b[2J\u009b31m\u202e\nlevel=error forged " + strings.Repeat("x", 50<<10)
	partial := protowire.AppendTag(nil, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, message)
	answers := map[string]func(http.ResponseWriter){
		"refused": func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot); io.WriteString(w, message) },
		"warned": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial))
		},
		"partly refused": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/x-protobuf")
			one := protowire.AppendVarint(protowire.AppendTag(bytes.Clone(partial), 1, protowire.VarintType), 1)
			w.Write(protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), one))
		},
		"status line": func(w http.ResponseWriter) {
			conn, out, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			out.WriteString("HTTP/1.1 418 I am\x1b[2J a teapot\r\nContent-Length: 0\r\n\r\n") //nolint:errcheck // Flush returns it
			out.Flush()                                                                       //nolint:errcheck // the client is gone
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			s := newStoppedSink(t)
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool { answer(w); return true }
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			postSpans(t, tr, s.URL, 0, 1)
			flush(t, tr)
			told := h.all(t, tr)
			if len(told) != 1 {
				t.Fatalf("told %v", told)
			}
			text := told[0].Error()
			if len(text) > 1000 || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
				t.Errorf("told %.2000q", text)
			}
		})
	}
}
