package otlpgrpc_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/clewtrace/clew/delivery"
	"github.com/clewtrace/clew/otelsetup/otlpgrpc"
)

// blackHole returns an address at which nothing is accepted and nothing refused: the
// queue of connections that wait to be accepted is full.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	at, ok := name.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: at.Addr[:], Port: at.Port}).String()
	for range 10 {
		filler, err := (&net.Dialer{}).DialContext(within(t, 200*time.Millisecond), "tcp", address)
		if err != nil {
			return address
		}
		t.Cleanup(func() { filler.Close() })
	}
	t.Skip("connections that nobody accepts are all made")
	return ""
}

func TestABlackHole(t *testing.T) {
	address := blackHole(t)
	before := goleak.IgnoreCurrent()
	s, err := otlpgrpc.New(t.Context(), endpoint(t, "http://"+address))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err := s.Send(within(t, 50*time.Millisecond), delivery.Traces, nil)
		if _, answered := errors.AsType[*delivery.SendError](err); answered || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%#v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t, before)
}
