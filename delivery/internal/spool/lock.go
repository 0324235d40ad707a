package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/clewtrace/clew/internal/ownfile"
)

const lockName = "lock"

// claim locks the directory for this process until the lock file is closed. Two
// processes that write to one spool would deliver each other's records, so a spool
// without a lock cannot be used.
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
