package delivery

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// giveUp makes the kernel close a connection on which nothing is acknowledged for
// deadAfter: it would go on for 15 minutes otherwise (tcp(7), TCP_USER_TIMEOUT and
// tcp_retries2). A kernel that does not take it leaves the connection as it is.
func giveUp(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
}
