//go:build unix

package ownfile

import (
	"os"
	"syscall"
)

const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// isOwn reports whether the file belongs to this user and has one name only: a
// second one may stand in a place where it means something else.
func isOwn(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(s.Uid) == os.Geteuid() && s.Nlink <= 1
}

// SharedDir reports whether others than the user can write to a directory.
func SharedDir(info os.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return info.Mode().Perm()&0o022 != 0 || ok && int(s.Uid) != os.Geteuid() && s.Uid != 0
}
