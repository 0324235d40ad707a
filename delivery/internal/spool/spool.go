// Package spool keeps records on disk until they are removed, so that they
// outlive the process.
//
// A spool is a directory of segments. A segment begins with a format mark and
// eight random bytes; a record is
//
//	those eight bytes | state | crc32c | meta length | body length | meta | body
//
// in little endian, the checksum covering everything after itself. Removing a
// record overwrites its state; a segment in which nothing is left is deleted.
// A reader that meets a damaged record looks for the next one by the random
// bytes, which cannot occur in a body except by chance.
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

// Record is what an earlier process left.
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
	maxRecord int64 // bytes of a record to be recovered
	sync      bool

	mu       sync.Mutex
	closed   bool
	lock     *os.File // nil if it was lost with the directory
	segments []*segment
	active   *segment // the one written to; nil before the first Append
	next     uint64   // number of the next segment
}

// Options say how a spool is kept.
type Options struct {
	MaxBytes  int64 // the segments together stay within this
	MaxRecord int64 // records of earlier processes that are larger are not read
	// Sync makes Append return when the record is on stable storage. Without it,
	// it survives the process but not the machine.
	Sync bool
}

// Found is what was in a directory beside the records.
type Found struct {
	Damaged int  // records and segments that were skipped
	Unread  int  // segments for which there was no time: they stay for the next process
	Shared  bool // others than this user can write to the directory
}

// Open locks the directory, creating it if need be. Call Recover before
// anything else.
func Open(dir string, opts Options) (*Spool, error) {
	s := &Spool{dir: dir, max: opts.MaxBytes, maxRecord: opts.MaxRecord, sync: opts.Sync}
	return s, s.claim()
}

// Recover calls fn with each record that was left in the directory, oldest
// first; fn may remove it. It does not trust what lies there: it takes memory
// for one record at a time, and about a second.
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
			continue // not one of ours: they are counted from 0
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

// names returns those that segments can have, oldest first. There is room for
// more than a spool of full segments has.
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
	slices.Sort(names) // they are numbers of one length
	return names, nil
}

// load reads a segment of an earlier process.
func (s *Spool) load(path string, until time.Time, fn func(Record)) (read int64, damaged int) {
	// Without write access the records are still delivered, but delivered again
	// by the next process.
	file, err := ownfile.Open(path, os.O_RDWR, 0)
	seg := &segment{path: path, file: file, live: 1} // one while it is read, so that it stays open
	if errors.Is(err, fs.ErrPermission) {
		file, err = ownfile.Open(path, os.O_RDONLY, 0)
		seg.file = nil
		defer func() { _ = file.Close() }()
	}
	if err != nil {
		return 0, 1
	}
	info, err := file.Stat()
	// What is larger than all segments together is none of them, and what does
	// not begin like one may be another version's: not ours to delete.
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
	if !data.late { // or the rest of it stays for the next process
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

// timedReader fails when the time is over.
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
		// Whatever part of it was written is overwritten by the next record.
		_ = seg.file.Truncate(seg.size)
		return Ref{}, err
	}
	ref := Ref{seg, seg.size}
	seg.size += n
	seg.live++
	return ref, nil
}

// writable makes sure that there is a segment to write to, and that it is still
// where the next process will look for it.
func (s *Spool) writable() error {
	if s.closed {
		return os.ErrClosed
	}
	if !ownfile.Same(filepath.Join(s.dir, lockName), s.lock) {
		// The directory was removed. What was in it is lost to the next
		// process, but not to this one, which has it in memory.
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
	f, err := os.OpenFile(seg.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // which follows no link
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(formatMark), seg.marker[:]...))
	if err == nil && s.sync {
		err = syncDir(s.dir) // or the machine may forget that there is such a file
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

// Holder returns a function that reports whether the next Open will find a
// record. It looks at each file once, for the records it is asked about now.
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

// Remove marks records as done. It cannot fail: what cannot be marked is
// returned once more by the next Open.
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
		// Nothing waits: do not let the segment grow to its full size.
		s.active = nil
		s.tidy(seg)
	}
}

// tidy deletes a segment that nothing is left in.
func (s *Spool) tidy(seg *segment) {
	if seg.live > 0 {
		return
	}
	if seg.file == nil {
		_ = os.Remove(seg.path)
	} else {
		if ownfile.Same(seg.path, seg.file) { // or the directory is another process's now
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

// Close gives up the directory. Records that were not removed stay for the next
// Open.
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
