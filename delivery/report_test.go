package delivery_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// TestEachKindOfErrorIsReportedAtOnce: and the same kind at most once a minute.
func TestEachKindOfErrorIsReportedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var kind atomic.Value
		kind.Store("")
		var h handled
		tr := newTransport(t, delivery.Config{ErrorHandler: &h, Base: network{"a": func(req *http.Request) (*http.Response, error) {
			switch kind.Load() {
			case "connection refused":
				return nil, syscall.ECONNREFUSED
			case "connection reset":
				return nil, syscall.ECONNRESET
			case "no answer within":
				<-req.Context().Done()
				return nil, context.Cause(req.Context())
			case "503":
				return &http.Response{Status: "503", StatusCode: http.StatusServiceUnavailable, Body: http.NoBody}, nil
			case "429":
				return &http.Response{Status: "429", StatusCode: http.StatusTooManyRequests, Body: http.NoBody}, nil
			default:
				return &http.Response{Status: "200", StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: http.NoBody}, nil
			}
		}}})
		post(t, tr, delivery.Traces, "http://a", traceRequest("x"))
		all := []string{"connection refused", "connection reset", "no answer within", "503", "429"}
		for round := range 3 {
			start := time.Now()
			for _, k := range all {
				kind.Store(k)
				time.Sleep(20 * time.Second) // for the longest pause and timeout
				synctest.Wait()
			}
			h.mu.Lock()
			told := fmt.Sprint(h.errs)
			if h.errs = nil; round == 0 && strings.Count(told, "cannot be delivered") != len(all) {
				t.Errorf("told %v; want each of %q once", told, all)
			}
			for _, kind := range all {
				if n := strings.Count(told, kind); n != 1 {
					t.Errorf("told of %q %d times in %v", kind, n, time.Since(start))
				}
			}
			h.mu.Unlock()
		}
		kind.Store("")
		if err := tr.ForceFlush(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
