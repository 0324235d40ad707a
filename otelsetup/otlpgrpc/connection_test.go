package otlpgrpc_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/extend"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

// proxy passes connections on to an address, and counts them. Those that it has can be
// made silent: they stay open, and nothing passes any more.
type proxy struct {
	net.Listener
	accepted atomic.Int32
	mu       sync.Mutex
	silent   []chan struct{} // of each connection
	open     []net.Conn
	running  sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{Listener: listen(t, "tcp", "127.0.0.1:0")}
	p.running.Go(func() {
		for {
			client, err := p.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			silent := make(chan struct{})
			p.mu.Lock()
			p.silent, p.open = append(p.silent, silent), append(p.open, client, server)
			p.mu.Unlock()
			p.running.Go(func() { pass(server, client, silent) })
			p.running.Go(func() { pass(client, server, silent) })
		}
	})
	t.Cleanup(func() {
		p.Close()
		p.mu.Lock()
		for _, c := range p.open {
			c.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

// pass copies until the connection is silent. Then it reads no more.
func pass(to, from net.Conn, silent <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		select {
		case <-silent:
			return
		default:
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			to.Close()
			return
		}
	}
}

// silence makes the connections silent that there are.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, silent := range p.silent {
		close(silent)
	}
	p.silent = nil
}

// within returns a context as delivery gives one to an attempt.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestTheSignalsOfOneTargetShareAConnection(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	p := newProxy(t, l.Addr().String())
	config := endpoint(t, "http://"+p.Addr().String())
	first := sender(t, config)
	config.Gzip, config.Headers = true, map[string]string{"a": "b"}
	second := sender(t, config)
	for _, s := range []delivery.Sender{first, second} {
		if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil { // delivery closes it once for each route
		t.Fatal(err)
	}
	if _, err := second.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Errorf("after the other is closed: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Send(t.Context(), delivery.Traces, nil); err == nil {
		t.Error("a closed sender sends")
	}
	if n := p.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestACollectorThatReturnsIsUsedAtOnce(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	address := l.Addr().String()
	l.Close()
	s := sender(t, endpoint(t, "http://"+address))
	for range 3 {
		_, err := s.Send(t.Context(), delivery.Traces, nil)
		if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Refused || got.Reason != "connection_refused" {
			t.Fatalf("nothing listens: %#v", err)
		}
	}
	var c collector
	stop := c.serve(t, listen(t, "tcp", address), nil)
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatalf("the first request after it is back: %v", err)
	}
	stop()
	for range 2 { // the first may be on its way when the connection ends
		_, err := s.Send(t.Context(), delivery.Traces, nil)
		if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Retry && !got.Refused {
			t.Fatalf("stopped again: %#v", err)
		}
	}
	c.serve(t, listen(t, "tcp", address), nil)
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatalf("the first request after it is back again: %v", err)
	}
}

func TestNothingListensAtASocket(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := sender(t, extend.OTLP{Target: "unix:sock"}).Send(t.Context(), delivery.Traces, nil)
	if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Refused {
		t.Fatalf("%#v", err)
	}
}

// What is tried is an attempt like those of delivery, which has a time limit.
func TestASilentConnectionIsReplacedAfterAnAttempt(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	p := newProxy(t, l.Addr().String())
	s := sender(t, endpoint(t, "http://"+p.Addr().String()))
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatal(err)
	}
	p.silence()
	_, err := s.Send(within(t, 50*time.Millisecond), delivery.Traces, nil)
	if _, answered := errors.AsType[*delivery.SendError](err); answered || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("silent: %#v", err)
	}
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatalf("after that: %v", err)
	}
}

// Without a time limit, gRPC's pings end the attempt.
func TestASilentConnectionIsReplacedWithoutATimeLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("the ping comes after 10 s")
	}
	t.Parallel()
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	p := newProxy(t, l.Addr().String())
	s := sender(t, endpoint(t, "http://"+p.Addr().String()))
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatal(err)
	}
	p.silence()
	start := time.Now()
	_, err := s.Send(t.Context(), delivery.Traces, nil)
	if got, ok := errors.AsType[*delivery.SendError](err); !ok || !got.Retry {
		t.Fatalf("silent: %#v", err)
	}
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatalf("after that: %v", err)
	}
	t.Logf("replaced after %v", time.Since(start).Round(time.Millisecond))
}

// The connection of a call that is given up ends with the last call on it.
func TestAnAttemptGivenUpLeavesTheOthers(t *testing.T) {
	c := collector{ended: make(chan struct{}, 2)}
	begun, finish := make(chan struct{}, 2), make(chan struct{})
	c.answers(func(ctx context.Context, _ proto.Message) error {
		begun <- struct{}{}
		select {
		case <-finish:
			return nil
		case <-ctx.Done():
			return status.Error(codes.Aborted, "given up")
		}
	})
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil)
	s := sender(t, endpoint(t, "http://"+l.Addr().String()))
	other := make(chan error)
	go func() {
		_, err := s.Send(context.Background(), delivery.Traces, nil)
		other <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := s.Send(ctx, delivery.Traces, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(finish)
	if err := <-other; err != nil {
		t.Errorf("the other: %v", err)
	}
	select {
	case <-c.ended:
	case <-within(t, 10*time.Second).Done():
		t.Error("the connection stays open")
	}
}

// Nothing runs any more when Close returns, whatever the other end does.
func TestCloseLeavesNothing(t *testing.T) {
	silent := listen(t, "tcp", "127.0.0.1:0") // accepts and says nothing
	t.Cleanup(func() { silent.Close() })
	absent := listen(t, "tcp", "127.0.0.1:0")
	absent.Close()
	for name, address := range map[string]string{
		"absent": absent.Addr().String(), "silent": silent.Addr().String(), "black hole": "192.0.2.1:4317", "no name": "nothing.invalid:4317",
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s, err := otlpgrpc.New(t.Context(), endpoint(t, "http://"+address))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := s.Send(within(t, 100*time.Millisecond), delivery.Traces, nil); err == nil {
					t.Error("sent")
				}
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if _, err := s.Send(context.Background(), delivery.Traces, nil); err == nil {
					t.Error("sent")
				}
			}()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			<-ended
			goleak.VerifyNone(t, before)
		})
	}
}

// The other end reads no more, so that not even a farewell can be written.
func TestCloseDoesNotWaitForASilentServer(t *testing.T) {
	var c collector
	l := listen(t, "tcp", "127.0.0.1:0")
	c.serve(t, l, nil, grpc.InitialConnWindowSize(1<<24), grpc.InitialWindowSize(1<<24))
	p := newProxy(t, l.Addr().String())
	s, err := otlpgrpc.New(t.Context(), endpoint(t, "http://"+p.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), delivery.Traces, nil); err != nil {
		t.Fatal(err)
	}
	p.silence()
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			large := request(t, delivery.Traces, strings.Repeat("a", 4<<20))
			if _, err := s.Send(within(t, 200*time.Millisecond), delivery.Traces, large); err == nil {
				t.Error("sent")
			}
		})
	}
	calls.Wait()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(3 * time.Second): // gRPC itself gives up after 5 s
		t.Error("still waits")
		<-ended
	}
}
