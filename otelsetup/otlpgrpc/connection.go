package otlpgrpc

import (
	"errors"
	"sync"

	"google.golang.org/grpc"
)

// connections holds those in use.
var connections = struct {
	sync.Mutex
	to map[address]*connection
}{to: map[address]*connection{}}

// connection is what the senders to one address share: a link to send over, which is
// replaced when it fails.
//
// gRPC would keep a link and try to connect again in the background, at times of its own,
// and answer calls meanwhile with the failure before. Package delivery decides when
// something is sent again, so a call after a failure makes a new link, and its result is
// that of a fresh attempt. A call without an answer gives its link up as well, because
// its other end may be gone without a word, as behind a load balancer. Other calls may
// end on that link.
type connection struct {
	address address
	options []grpc.DialOption
	senders int // guarded by connections

	mu     sync.Mutex
	closed bool
	link   *link          // to send over; nil before the first call and after a failure
	links  map[*link]bool // that and those given up with calls on them
	busy   sync.WaitGroup // calls, and links being closed
}

// link is one connection, or the attempt to make it.
type link struct {
	conn  *grpc.ClientConn
	calls int
}

// join returns the connection to an address for one more sender.
func join(at address) (*connection, error) {
	connections.Lock()
	defer connections.Unlock()
	c := connections.to[at]
	if c == nil {
		c = &connection{address: at, options: dialOptions(at), links: map[*link]bool{}}
		if err := c.dial(); err != nil {
			return nil, err
		}
		connections.to[at] = c
	}
	c.senders++
	return c, nil
}

// leave is called once by each sender. The last one closes the connection.
func (c *connection) leave() {
	connections.Lock()
	c.senders--
	last := c.senders == 0
	if last {
		delete(connections.to, c.address)
	}
	connections.Unlock()
	if last {
		c.close()
	}
}

// dial makes the next link. It connects when the first call comes.
func (c *connection) dial() error {
	conn, err := grpc.NewClient(c.address.target, c.options...)
	if err != nil {
		return err
	}
	c.link = &link{conn: conn}
	c.links[c.link] = true
	return nil
}

func (c *connection) close() {
	c.mu.Lock()
	c.closed = true
	for l := range c.links {
		c.hangUp(l)
	}
	c.link = nil
	c.mu.Unlock()
	c.busy.Wait()
}

// hangUp closes a link in the background: the calls on it end, and what gRPC still
// writes may take time. The caller holds mu.
func (c *connection) hangUp(l *link) {
	delete(c.links, l)
	c.busy.Go(func() { _ = l.conn.Close() })
}

var errClosed = errors.New("the exporter is shut down")

// acquire returns the link for one call.
func (c *connection) acquire() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed
	}
	if c.link == nil {
		if err := c.dial(); err != nil {
			return nil, err
		}
	}
	c.link.calls++
	c.busy.Add(1)
	return c.link, nil
}

// release ends the use of a link by a call, and gives the link up if it failed.
func (c *connection) release(l *link, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.busy.Done()
	l.calls--
	if failed && c.link == l {
		c.link = nil
	}
	if c.link != l && l.calls == 0 && c.links[l] {
		c.hangUp(l)
	}
}
