package delivery_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// TestAPortalIsNamedAtTheEnd: what a web page was the answer to is not delivered, and
// Shutdown says what was there, and where.
func TestAPortalIsNamedAtTheEnd(t *testing.T) {
	s := newStoppedSink(t)
	s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Log in</html>")
		return true
	}
	s.Start()
	tr := newTransport(t, quick(new(handled)))
	postSpans(t, tr, s.URL, 0, 1)
	for tr.Stats(delivery.Traces).Retried == 0 {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := tr.Shutdown(ctx)
	want := s.URL + "/v1/traces: not the answer of an OTLP server, but a web page: 200 OK"
	if st := tr.Stats(delivery.Traces); err == nil || !strings.Contains(err.Error(), want) || st.Delivered != 0 || st.Dropped["shutdown"] != 1 {
		t.Errorf("%v, %+v: want %s", err, st, want)
	}
}

// TestAPageThatDoesNotComeIsNoEmptyAnswer: the connection ends before its first byte.
func TestAPageThatDoesNotComeIsNoEmptyAnswer(t *testing.T) {
	for contentType, counts := range map[string]bool{"text/html": false, "application/x-protobuf": true} {
		s := newStoppedSink(t)
		var requests atomic.Int64
		s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			if requests.Add(1) > 1 {
				return false
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Content-Length", "600")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		s.Start()
		tr := newTransport(t, quick(new(handled)))
		postSpans(t, tr, s.URL, 0, 1)
		flush(t, tr)
		if st := tr.Stats(delivery.Traces); st.Delivered != 1 || (st.Retried == 0) != counts {
			t.Errorf("%s: %+v: want it to count as delivered: %v", contentType, st, counts)
		}
	}
}

// TestOnlyAnAnswerOfAnOTLPServerCounts: after that of something else that listens at
// the address, a request is repeated as if the server could not be reached.
func TestOnlyAnAnswerOfAnOTLPServerCounts(t *testing.T) {
	const page = "<!DOCTYPE html>\n<html><head><title>Log in</title></head></html>"
	for _, tc := range []struct {
		rule, contentType, body string
		code                    int
		counts                  bool
	}{
		{"an empty body", "", "", 200, true},
		{"an empty body of a type", "application/x-protobuf", "", 200, true},
		{"an empty page, as a script in PHP answers", "text/html; charset=UTF-8", "", 200, true},
		{"no content", "", "", 204, true},
		{"accepted", "text/plain", "", 202, true},
		{"protobuf", "application/x-protobuf", "\x0a\x00", 200, true},
		{"protobuf by its other name", "application/protobuf", "\x0a\x00", 200, true},
		{"JSON", "application/json", "{}", 200, true},
		{"JSON with a parameter", "application/json; charset=utf-8", `{"partialSuccess":{}}`, 200, true},
		{"JSON of a vendor", "application/json", `{"status":"ok","errors":false,"error":null}`, 200, true},
		{"JSON of a vendor, with nothing in it", "application/json", `{"error":"","errors":[ ]}`, 200, true},
		{"partial success whatever else is said", "application/json", `{"partialSuccess":{},"error":"x"}`, 200, true},
		{"a word", "text/plain; charset=utf-8", "ok\n", 200, true},
		{"no type", "none", "\x0a\x00", 200, true},
		{"bytes", "application/octet-stream", "\x0a\x00", 200, true},

		{"a page", "text/html; charset=utf-8", page, 200, false},
		{"a page with another code", "text/html", page, 202, false},
		{"a page that has moved", "text/html", page, 301, false},
		{"a redirect to a page", "text/html", page, 302, false},
		{"a redirect to see something else", "text/plain", "", 303, false},
		{"a network that wants a login", "text/html", page, 511, false},
		{"a proxy that wants a login", "text/html", page, 407, false},
		{"XHTML", "application/xhtml+xml", page, 200, false},
		{"a page without a type", "none", page, 200, false},
		{"a page that says it is JSON", "application/json", page, 200, false},
		{"a page that says it is text", "text/plain", page, 200, false},
		{"an error in JSON", "application/json", `{"error":"not logged in"}`, 200, false},
		{"errors in JSON", "application/problem+json", `{"errors":[{"title":"no such tenant"}]}`, 200, false},
		{"a long text", "text/plain", strings.Repeat("Welcome to the guest network. ", 10), 200, false},
		{"a script", "text/javascript", "location = '/login'", 200, false},
		{"a picture", "image/png", "\x89PNG\r\n\x1a\n", 200, false},
	} {
		t.Run(tc.rule, func(t *testing.T) {
			s := newStoppedSink(t)
			var mended atomic.Bool
			var requests atomic.Int64
			s.fault = func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
				if mended.Load() || requests.Add(1) > 2 {
					return false
				}
				switch tc.contentType {
				case "":
				case "none":
					w.Header()["Content-Type"] = nil
				default:
					w.Header().Set("Content-Type", tc.contentType)
				}
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.body)
				return true
			}
			s.Start()
			var h handled
			tr := newTransport(t, quick(&h))
			names := postSpans(t, tr, s.URL, 0, 1)
			flush(t, tr)
			st := tr.Stats(delivery.Traces)
			if st.Delivered != 1 || (st.Retried == 0) != tc.counts {
				t.Errorf("%+v: want it to count as delivered: %v", st, tc.counts)
			}
			if lost, _ := s.lost(names); (lost == 0) == tc.counts {
				t.Errorf("%d lost: want the answer to count: %v", lost, tc.counts)
			}
			told := h.all(t, tr)
			if tc.counts != (len(told) == 0) || !tc.counts && !strings.Contains(told[0].Error(), "not the answer of an OTLP server") {
				t.Errorf("told %v", told)
			}
		})
	}
}
