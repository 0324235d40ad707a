//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package spool

import (
	"errors"
	"os"
)

// Two processes writing to one spool would deliver each other's records, so
// without a lock there is no spool.
func lockFile(*os.File) error { return errors.ErrUnsupported }
