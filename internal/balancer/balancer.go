// Package balancer has a balancer that loses connections as real ones do. Tests put it
// between a program and its collector.
package balancer

import (
	"context"
	"net"
	"sync"
)

// Balancer passes connections on to a server, until it forgets them. Then they stay
// established, and nothing passes any more. Later connections pass.
type Balancer struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu        sync.Mutex
	forgotten chan struct{} // closed when the connections so far are forgotten
	conns     []net.Conn
	made      int
}

// New starts a balancer on a port of the loopback address. It passes on to the address
// of a server.
func New(to string) (*Balancer, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Balancer{listener: l, to: to, forgotten: make(chan struct{})}
	b.running.Go(b.serve)
	return b, nil
}

// Addr returns the address to connect to.
func (b *Balancer) Addr() string { return b.listener.Addr().String() }

// Made returns the number of connections so far.
func (b *Balancer) Made() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.made
}

// Forget forgets the connections so far.
func (b *Balancer) Forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.forgotten)
	b.forgotten = make(chan struct{})
}

// Close ends everything.
func (b *Balancer) Close() {
	_ = b.listener.Close()
	b.mu.Lock()
	for _, conn := range b.conns {
		_ = conn.Close()
	}
	b.mu.Unlock()
	b.running.Wait()
}

func (b *Balancer) serve() {
	for {
		in, err := b.listener.Accept()
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
		b.running.Go(func() { pass(out, in, forgotten) })
		b.running.Go(func() { pass(in, out, forgotten) })
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
