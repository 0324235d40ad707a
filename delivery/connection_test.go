package delivery_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/clewtrace/clew/delivery"
)

// balancer passes connections on to a server, until it forgets them: they stay
// established, and nothing passes any more. New ones do.
type balancer struct {
	net.Listener
	to string

	mu        sync.Mutex
	forgotten chan struct{} // closed when the connections made so far are dead
	conns     []net.Conn
	made      int
}

func newBalancer(t *testing.T, to string) *balancer {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{Listener: l, to: to, forgotten: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { b.serve(&wg) })
	t.Cleanup(func() {
		_ = l.Close()
		b.mu.Lock()
		for _, conn := range b.conns {
			_ = conn.Close()
		}
		b.mu.Unlock()
		wg.Wait()
	})
	return b
}

func (b *balancer) serve(wg *sync.WaitGroup) {
	for {
		in, err := b.Accept()
		if err != nil {
			return
		}
		out, err := new(net.Dialer).DialContext(context.Background(), "tcp", b.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		b.mu.Lock()
		b.made++
		b.conns = append(b.conns, in, out)
		forgotten := b.forgotten
		b.mu.Unlock()
		wg.Go(func() { pass(out, in, forgotten) })
		wg.Go(func() { pass(in, out, forgotten) })
	}
}

// pass copies what it reads. Of a forgotten connection it swallows it.
func pass(to, from net.Conn, forgotten chan struct{}) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		select {
		case <-forgotten:
			if err != nil {
				return
			}
			continue
		default:
		}
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

func (b *balancer) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.forgotten)
	b.forgotten = make(chan struct{})
}

// TestDeadConnectionIsReplaced: one that is established and silent. HTTP/2 pings; with
// HTTP/1.1, an attempt that gets no answer closes its connection.
func TestDeadConnectionIsReplaced(t *testing.T) {
	for _, proto := range []string{"HTTP/2.0", "HTTP/1.1"} {
		t.Run(proto, func(t *testing.T) {
			s := newStoppedSink(t)
			s.EnableHTTP2 = proto == "HTTP/2.0"
			s.StartTLS()
			between := newBalancer(t, s.Listener.Addr().String())

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
			url := "https://" + between.Addr().String()
			names := postSpans(t, tr, url, 0, 1)
			flush(t, tr)
			between.forget()
			names = append(names, postSpans(t, tr, url, 1, 10)...)
			flush(t, tr)
			if lost, _ := s.lost(names); lost != 0 || s.got[0].Proto != proto {
				t.Errorf("%d lost over %s", lost, s.got[0].Proto)
			}
			if between.mu.Lock(); between.made < 2 {
				t.Errorf("%d connections", between.made)
			}
			between.mu.Unlock()
		})
	}
}

func trusting(s *httptest.Server) *tls.Config {
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.NextProtos = nil
	return config
}
