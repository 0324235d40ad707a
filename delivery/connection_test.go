package delivery_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/internal/balancer"
)

// TestDeadConnectionIsReplaced: one that is established and silent. HTTP/2 pings; with
// HTTP/1.1, an attempt that gets no answer closes its connection.
func TestDeadConnectionIsReplaced(t *testing.T) {
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		t.Run(proto, func(t *testing.T) {
			s := newStoppedSink(t)
			s.EnableHTTP2 = proto == "HTTP/2.0"
			s.StartTLS()
			between, err := balancer.New(s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer between.Close()

			base := delivery.NewBase(trusting(s.Server))
			if found := base.HTTP2.SendPingTimeout + base.HTTP2.PingTimeout; found <= 0 || found > 12*time.Second {
				t.Errorf("a dead connection is found after %v; want time for a new one within 15 s", found)
			}
			cfg := quick(new(handled))
			cfg.Base, cfg.Timeout = base, time.Minute
			if s.EnableHTTP2 {
				base.HTTP2.SendPingTimeout, base.HTTP2.PingTimeout = 100*time.Millisecond, 100*time.Millisecond
			} else {
				cfg.Timeout = 200 * time.Millisecond
			}
			t.Cleanup(base.CloseIdleConnections)
			tr := newTransport(t, cfg)
			url := "https://" + between.Addr()
			names := postSpans(t, tr, url, 0, 1)
			flush(t, tr)
			between.Forget()
			names = append(names, postSpans(t, tr, url, 1, 10)...)
			flush(t, tr)
			if lost, _ := s.lost(names); lost != 0 || s.got[0].Proto != proto {
				t.Errorf("%d lost over %s", lost, s.got[0].Proto)
			}
			if between.Made() < 2 {
				t.Errorf("%d connections", between.Made())
			}
		})
	}
}

// TestDeadConnectionsTakeOneAttempt: that of the one, however many are idle.
func TestDeadConnectionsTakeOneAttempt(t *testing.T) {
	const connections = 4
	s := newStoppedSink(t)
	arrived, all := make(chan struct{}, connections+1), make(chan struct{})
	s.fault = func(http.ResponseWriter, *http.Request, []byte) bool {
		arrived <- struct{}{}
		<-all
		return false
	}
	s.Start()
	between, err := balancer.New(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer between.Close()
	tr := newTransport(t, quick(new(handled)))
	p := tr.SpanProcessor(delivery.Route{URL: "http://" + between.Addr() + "/v1/traces", Timeout: time.Second}, delivery.Batch{MaxItems: 1})
	endSpans(p, 0, connections)
	for range connections {
		<-arrived
	}
	close(all)
	flush(t, tr)
	between.Forget()
	endSpans(p, connections, 1)
	flush(t, tr)
	if got := tr.Stats(delivery.Traces); got.Retried != 1 || got.Delivered != connections+1 || between.Made() != connections+1 {
		t.Errorf("%d failed attempts, %d delivered, %d connections", got.Retried, got.Delivered, between.Made())
	}
}

// TestAnAttemptWithoutALimit that gets no answer holds up no other request, and Shutdown
// ends it.
func TestAnAttemptWithoutALimit(t *testing.T) {
	s := newStoppedSink(t)
	silent := make(chan struct{}, 1)
	s.fault = func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if spanNames(body)[0] != "silence" {
			return false
		}
		silent <- struct{}{}
		<-r.Context().Done()
		return true
	}
	s.Start()
	tr := newTransport(t, quick(new(handled)))
	p := tr.SpanProcessor(delivery.Route{URL: s.URL + "/v1/traces", Timeout: -1}, delivery.Batch{MaxItems: 1})
	p.OnEnd(named("silence"))
	<-silent
	endSpans(p, 0, 10)
	for tr.Stats(delivery.Traces).Delivered < 10 {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	u, ok := errors.AsType[*delivery.UndeliveredError](tr.Shutdown(ctx))
	if !ok || u.Items != 1 || u.Accepted != 11 {
		t.Errorf("%v", u)
	}
}

func trusting(s *httptest.Server) *tls.Config {
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = nil
	return config
}
