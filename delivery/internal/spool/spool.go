// Package spool keeps records on disk until they are removed, so that they
// outlive the process.
//
// A spool is a directory of segments. A segment begins with a format mark and
// eight random bytes; a record is
//
//	those eight bytes | state | crc32c | meta length | body length | meta | body
//
// All numbers are little endian, and the checksum covers everything after itself.
// Removing a record overwrites its state. A segment whose records are all removed is
// deleted. A reader that finds a damaged record searches for the next one by the random
// bytes, which occur in a body only by chance.
package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/clewtrace/clew/internal/ownfile"
)

const (
	formatMark  = "clewsp1\n"
	markerSize  = 8
	segmentHead = len(formatMark) + markerSize
	recordHead  = markerSize + 1 + 4 + 4 + 4
	segmentSize = 4 << 20 // a segment is closed when it has grown to this

	stateLive    = 0x00
	stateRemoved = 0xff
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrFull is returned by Append when the record would exceed the bound.
var ErrFull = errors.New("spool is full")

// Record is a record that an earlier process left.
type Record struct {
	Ref        Ref
	Meta, Body []byte
}

// Ref names a record. The zero Ref names none.
type Ref struct {
	seg    *segment
	offset int64
}

// IsZero reports whether the Ref names no record.
func (r Ref) IsZero() bool { return r.seg == nil }

type segment struct {
	path   string
	file   *os.File
	marker [markerSize]byte
	size   int64
	live   int
}

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	dir       string
	max       int64 // bytes of all segments
	maxRecord int64 // bytes; a larger record of an earlier process is not read
	sync      bool

	mu       sync.Mutex
	closed   bool
	lock     *os.File // nil if it was lost with the directory
	segments []*segment
	active   *segment // the one written to; nil before the first Append
	next     uint64   // number of the next segment
}

// Options configure a spool.
type Options struct {
	MaxBytes  int64 // bounds the sum of all segments
	MaxRecord int64 // a larger record of an earlier process is not read
	// Sync makes Append return only when the record is on stable storage. Without it, a
	// record survives the end of the process but not of the machine.
	Sync bool
}

// Found says what a directory held besides the records.
type Found struct {
	Damaged int  // records and segments that were skipped
	Unread  int  // segments that were not read for lack of time; they stay for the next process
	Shared  bool // other users can write to the directory
}

// Open locks the directory and creates it if it does not exist. Call Recover before
// anything else.
func Open(dir string, opts Options) (*Spool, error) {
	s := &Spool{dir: dir, max: opts.MaxBytes, maxRecord: opts.MaxRecord, sync: opts.Sync}
	return s, s.claim()
}

// Recover calls fn with each record that was left in the directory, the oldest first;
// fn may remove it. The content of the directory is not trusted: Recover takes memory
// for one record at a time, and stops after about a second.
func (s *Spool) Recover(fn func(Record)) (Found, error) {
	var found Found
	info, err := os.Stat(s.dir)
	if err != nil {
		return found, err
	}
	found.Shared = ownfile.SharedDir(info)
	until := time.Now().Add(recovering)
	names, err := s.names(until)
	if err != nil {
		return found, err
	}
	var read int64
	for _, name := range names {
		n, err := strconv.ParseUint(strings.TrimSuffix(name, suffix), 16, 64)
		if err != nil || n >= lastSegment {
			continue // not a segment: those are numbered from 0
		}
		s.next = max(s.next, n+1)
		if !time.Now().Before(until) || read > s.max {
			found.Unread++
			continue
		}
		size, damaged := s.load(filepath.Join(s.dir, name), until, fn)
		read += size
		found.Damaged += damaged
	}
	return found, nil
}

const (
	suffix      = ".seg"
	nameLength  = 16 + len(suffix)
	lastSegment = 1 << 62
	recovering  = time.Second
)

// names returns the names of segments, the oldest first. It reads more names than a
// spool of full segments can have, but not more than a bound.
func (s *Spool) names(until time.Time) ([]string, error) {
	d, err := os.Open(s.dir)
	if err != nil {
		return nil, err
	}
	defer d.Close() //nolint:errcheck // it was only read
	maxNames := int(max(1024, 2*s.max/segmentSize))
	var names []string
	for len(names) < maxNames && time.Now().Before(until) {
		some, err := d.Readdirnames(1024)
		for _, name := range some {
			if len(name) == nameLength && strings.HasSuffix(name, suffix) {
				names = append(names, strings.Clone(name))
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names) // in numerical order, because all have the same length
	return names, nil
}

// load reads a segment of an earlier process.
func (s *Spool) load(path string, until time.Time, fn func(Record)) (read int64, damaged int) {
	// Without write access the records are still delivered, but the next process
	// delivers them again.
	file, err := ownfile.Open(path, os.O_RDWR, 0)
	seg := &segment{path: path, file: file, live: 1} // 1 while it is read, so that it stays open
	if errors.Is(err, fs.ErrPermission) {
		file, err = ownfile.Open(path, os.O_RDONLY, 0)
		seg.file = nil
		defer func() { _ = file.Close() }()
	}
	if err != nil {
		return 0, 1
	}
	info, err := file.Stat()
	// A file that is larger than all segments together is not a segment. One that does
	// not begin like a segment may be of another version. Neither may be deleted.
	if err != nil || info.Size() > s.max || !begins(file) {
		_ = file.Close()
		return 0, 1
	}
	seg.size = info.Size()
	s.segments = append(s.segments, seg)
	data := &timedReader{file: file, until: until}
	damaged = Scan(data, seg.size, s.maxRecord, func(offset int64, meta, body []byte) bool {
		seg.live++
		fn(Record{Ref: Ref{seg, offset}, Meta: meta, Body: body})
		return true
	})
	if !data.late { // otherwise the rest of it stays for the next process
		seg.live--
		s.tidy(seg)
	}
	return seg.size, damaged
}

func begins(file io.ReaderAt) bool {
	var mark [len(formatMark)]byte
	_, err := file.ReadAt(mark[:], 0)
	return err == nil && string(mark[:]) == formatMark
}

// timedReader fails after the time until.
type timedReader struct {
	file  io.ReaderAt
	until time.Time
	late  bool
}

func (r *timedReader) ReadAt(p []byte, at int64) (int, error) {
	if r.late = r.late || !time.Now().Before(r.until); r.late {
		return 0, os.ErrDeadlineExceeded
	}
	return r.file.ReadAt(p, at)
}

// Append stores a record.
func (s *Spool) Append(meta, body []byte) (Ref, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref, err := s.append(meta, body)
	if err != nil && s.clear() {
		ref, err = s.append(meta, body)
	}
	return ref, err
}

// clear deletes the segment that is written to if all of its records are removed. It
// reports whether that has made room.
func (s *Spool) clear() bool {
	seg := s.active
	if seg == nil || seg.live > 0 || seg.size == int64(segmentHead) {
		return false
	}
	s.active = nil
	s.tidy(seg)
	return true
}

func (s *Spool) append(meta, body []byte) (Ref, error) {
	if err := s.writable(); err != nil {
		return Ref{}, err
	}
	n := int64(recordHead + len(meta) + len(body))
	if s.used()+n > s.max {
		return Ref{}, fmt.Errorf("%w: %s holds %d bytes of %d", ErrFull, s.dir, s.used(), s.max)
	}
	seg := s.active
	rec := make([]byte, recordHead, n)
	copy(rec, seg.marker[:])
	rec[markerSize] = stateLive
	binary.LittleEndian.PutUint32(rec[markerSize+5:], uint32(len(meta))) //nolint:gosec // far below
	binary.LittleEndian.PutUint32(rec[markerSize+9:], uint32(len(body))) //nolint:gosec // requests are bounded
	rec = append(append(rec, meta...), body...)
	binary.LittleEndian.PutUint32(rec[markerSize+1:], crc32.Checksum(rec[markerSize+5:], castagnoli))

	_, err := seg.file.WriteAt(rec, seg.size)
	if err == nil && s.sync {
		err = seg.file.Sync()
	}
	if err != nil {
		// The next record overwrites what was written of this one.
		_ = seg.file.Truncate(seg.size)
		return Ref{}, err
	}
	ref := Ref{seg, seg.size}
	seg.size += n
	seg.live++
	return ref, nil
}

// writable makes sure that there is a segment to write to, in the directory in which
// the next process will look for it.
func (s *Spool) writable() error {
	if s.closed {
		return os.ErrClosed
	}
	if !ownfile.Same(filepath.Join(s.dir, lockName), s.lock) {
		// The directory was removed. The next process cannot find the records that were
		// in it, but this process still has them in memory.
		if s.lock != nil {
			_ = s.lock.Close()
			s.lock = nil
		}
		if err := s.claim(); err != nil {
			return err
		}
	}
	if a := s.active; a != nil && a.size < segmentSize && ownfile.Same(a.path, a.file) {
		return nil
	}
	seg := &segment{path: filepath.Join(s.dir, fmt.Sprintf("%016x.seg", s.next)), size: int64(segmentHead)}
	if _, err := rand.Read(seg.marker[:]); err != nil {
		return err
	}
	f, err := os.OpenFile(seg.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // O_EXCL follows no symbolic link
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(formatMark), seg.marker[:]...))
	if err == nil && s.sync {
		err = syncDir(s.dir) // so that the new file is found after a crash of the machine
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(seg.path))
	}
	seg.file = f
	s.next++
	old := s.active
	s.active = seg
	s.segments = append(s.segments, seg)
	if old != nil {
		s.tidy(old)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the directory that was configured
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Holder returns a function that reports whether the next Open will find a record. The
// function looks at each file once, so it is to be used at once and not kept.
func (s *Spool) Holder() func(Ref) bool {
	found := make(map[*segment]bool)
	return func(ref Ref) bool {
		if ref.IsZero() {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		holds, known := found[ref.seg]
		if !known {
			holds = ref.seg.file == nil || ownfile.Same(ref.seg.path, ref.seg.file)
			found[ref.seg] = holds
		}
		return holds
	}
}

// Remove marks a record as done. It cannot fail: a record that cannot be marked is
// found once more by the next Open.
func (s *Spool) Remove(ref Ref) {
	if ref.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := ref.seg
	if seg.live--; seg.live == 0 && seg != s.active {
		s.tidy(seg)
		return
	}
	if seg.file != nil {
		_, _ = seg.file.WriteAt([]byte{stateRemoved}, ref.offset+markerSize)
	}
	if seg.live == 0 && seg.size > min(segmentSize, s.max)/4 {
		// No record is left, so the segment need not grow to its full size.
		s.active = nil
		s.tidy(seg)
	}
}

// tidy deletes a segment if it has no records left.
func (s *Spool) tidy(seg *segment) {
	if seg.live > 0 {
		return
	}
	if seg.file == nil {
		_ = os.Remove(seg.path)
	} else {
		if ownfile.Same(seg.path, seg.file) { // otherwise it may belong to another process now
			_ = seg.file.Truncate(int64(segmentHead)) // in case it cannot be deleted
			_ = os.Remove(seg.path)
		}
		_ = seg.file.Close()
	}
	s.segments = slices.DeleteFunc(s.segments, func(have *segment) bool { return have == seg })
}

func (s *Spool) used() int64 {
	var n int64
	for _, seg := range s.segments {
		n += seg.size
	}
	return n
}

// Close releases the directory. Records that were not removed stay for the next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.active = true, nil
	for _, seg := range slices.Clone(s.segments) {
		s.tidy(seg)
	}
	var errs []error
	for _, seg := range s.segments {
		if seg.file != nil {
			errs = append(errs, seg.file.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}
