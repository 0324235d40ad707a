package delivery_test

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/clewtrace/clew/delivery"
)

// TestTheKernelNoticesADeadConnection within 15 s, whether something was sent that is not
// acknowledged or not.
func TestTheKernelNoticesADeadConnection(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	conn, err := delivery.NewBase(nil).DialContext(t.Context(), "tcp", l.Addr().String())
	must(t, err)
	defer conn.Close()
	raw, err := conn.(syscall.Conn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		option := func(level, name int) int {
			v, err := unix.GetsockoptInt(int(fd), level, name)
			must(t, err)
			return v
		}
		if unacknowledged := option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); unacknowledged <= 0 || unacknowledged > 15_000 {
			t.Errorf("what is not acknowledged is given up after %d ms", unacknowledged)
		}
		idle := option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE) + option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)*option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL)
		if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 || idle > 15 {
			t.Errorf("an idle connection is found dead after %d s", idle)
		}
	}))
}
