package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clewtrace/clew/internal/ownfile"
)

const lockName = "lock"

// claim makes the directory this process's own until the lock file is closed.
// Two processes writing to one spool would deliver each other's records, so
// without a lock there is no spool.
func (s *Spool) claim() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := ownfile.Lock(filepath.Join(s.dir, lockName))
	if held, ok := errors.AsType[*ownfile.HeldError](err); ok {
		return fmt.Errorf("%s is in use by process %s", s.dir, held.Process)
	}
	if err != nil {
		return err
	}
	s.lock = f
	return nil
}
