// Package ownfile opens files in directories that others may be able to write
// to: only regular files of this user's own, and never through a link. What lies
// at the path otherwise may be a pipe, whose reader waits for ever, an endless
// device, or a link to a file that would be overwritten.
package ownfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Open is os.OpenFile for a regular file of this user's own. It does not follow
// a link at the end of path, and does not wait.
func Open(path string, flag int, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_TRUNC|noFollow, perm) //nolint:gosec // the caller's path
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || !isOwn(info)) {
		err = &os.PathError{Op: "open", Path: path, Err: errNotOwn}
	}
	if err == nil && flag&os.O_TRUNC != 0 {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

var errNotOwn = errors.New("not a regular file that belongs to this user alone")

// Same reports whether path still leads to an open file.
func Same(path string, f *os.File) bool {
	if f == nil {
		return false
	}
	there, err := os.Lstat(path)
	if err != nil {
		return false
	}
	here, err := f.Stat()
	return err == nil && os.SameFile(there, here)
}

// HeldError is returned by [Lock] if another open file holds the lock.
type HeldError struct {
	Path    string
	Process string // its id, as it wrote it
}

func (e *HeldError) Error() string { return fmt.Sprintf("%s is held by process %s", e.Path, e.Process) }

// Lock locks the file at path, which it creates if need be, until the returned
// file is closed or the process ends, and writes the process's id into it. The
// error is errors.ErrUnsupported where the system has no such locks.
func Lock(path string) (*os.File, error) {
	f, err := Open(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lock(f); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if errors.Is(err, errLocked) {
			return nil, &HeldError{path, number(string(holder))}
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		if _, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// errLocked is what lock returns if another open file holds the lock.
var errLocked = errors.New("locked")

// number is what a file says, as far as that is a process's id.
func number(text string) string {
	text = strings.TrimSpace(text)
	if _, err := strconv.ParseUint(text, 10, 32); err != nil {
		return "unknown"
	}
	return text
}
