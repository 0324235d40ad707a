package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const lockName = "lock"

// errLocked is what lockFile returns if another open file holds the lock.
var errLocked = errors.New("locked")

// claim makes the directory this process's own until the lock file is closed.
func (s *Spool) claim() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(s.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := lockFile(f); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return fmt.Errorf("%s is in use by process %s", s.dir, strings.TrimSpace(string(holder)))
		}
		return fmt.Errorf("lock %s: %w", s.dir, err)
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.lock = f
	return nil
}

// sameFile reports whether path still leads to an open file.
func sameFile(path string, f *os.File) bool {
	if f == nil {
		return false
	}
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	here, err := f.Stat()
	return err == nil && os.SameFile(there, here)
}
